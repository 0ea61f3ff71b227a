# What is known of a package. Set before: name, version, file, prefix, inside (whether its file is opened, for which dpkg-deb makes a
# folder below /tmp); the parameters are services.
if command -v dpkg-query >/dev/null 2>&1; then
	now=$(dpkg-query --admindir="$prefix/var/lib/dpkg" -W -f='${db:Status-Abbrev}|${Version}' "$name" 2>/dev/null) && echo "I $now"
	if [ -n "$inside" ] && [ -f "$file" ]; then
		echo "F $(dpkg-deb -f "$file" Package 2>/dev/null)|$(dpkg-deb -f "$file" Version 2>/dev/null)|$(dpkg-deb -f "$file" Architecture 2>/dev/null)|$(dpkg --print-architecture)"
	fi
	case $now in ii*) ! dpkg --compare-versions "${now#*|}" gt "$version" 2>/dev/null || echo O ;; esac
else
	echo W
fi
for service in "$@"; do
	! running "$service" || echo "R $service"
done
echo Z
