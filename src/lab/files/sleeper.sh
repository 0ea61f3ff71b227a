#!/bin/sh
# sleeper: a framework that keeps TASKS sleeping tasks running. Its libmesos is the one that the link names.
exec /usr/local/lib/libmesos.so
