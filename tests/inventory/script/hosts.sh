#!/bin/sh
[ "$1" = --list ] || { echo '{}'; exit 0; }
cat <<'EOF'
{"web": {"hosts": ["s1", "s2"], "vars": {"a": 1, "tpl": "{{ a }}"}, "children": ["inner"]},
 "inner": {"hosts": ["s3"]},
 "plain": ["s1"],
 "_meta": {"hostvars": {"s1": {"x": [1, 2.5, null], "ansible_host": "10.1.1.1"}, "s3": {}}}}
EOF
