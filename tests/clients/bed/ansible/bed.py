"""Tells the bed of each task as it begins and ends, as a line of JSON, and waits until the bed has looked at its effect."""
import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = '''
    name: bed
    type: stdout
    short_description: tells a test bed of each task, and waits for its answer
    description: Lines of JSON to file descriptor 3, one line of answer from descriptor 4 for each.
'''


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'stdout'
    CALLBACK_NAME = 'bed'

    def __init__(self):
        super().__init__()
        self.told = os.fdopen(3, 'w')
        self.answers = os.fdopen(4)

    def tell(self, **line):
        self.told.write(json.dumps(line, default=str) + '\n')
        self.told.flush()
        self.answers.readline()

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.tell(task=task.get_name(), event='start')

    def ended(self, result, **how):
        self.tell(task=result._task.get_name(), event='end', result=result._result, **how)

    def v2_runner_on_ok(self, result):
        self.ended(result, failed=False)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.ended(result, failed=True)

    def v2_runner_on_unreachable(self, result):
        self.ended(result, failed=True)

    def v2_runner_on_skipped(self, result):
        self.ended(result, failed=True)
