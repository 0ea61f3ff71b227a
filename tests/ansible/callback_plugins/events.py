"""Writes what each task came to on each host, one JSON line each, to the file that EVENTS names."""
import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, status, result):
        line = {"task": result._task.get_name(), "host": result._host.get_name(), "status": status,
                "result": json.loads(self._dump_results(result._result, indent=0, keep_invocation=False))}
        with open(os.environ["EVENTS"], "a") as out:
            out.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result):
        if result._task.action.split(".")[-1] in ("include_tasks", "include_role", "meta"):
            return
        self._write("changed" if result._result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result):
        self._write("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)
