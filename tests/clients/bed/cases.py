"""What the Python clients of the bed share: their cases, run in order, and the outcome of each as a line of JSON."""
import json
import os
import time
import traceback

endpoint = os.environ['BED_ENDPOINT']
at_center = endpoint == 'center'
quick_only = os.environ.get('BED_QUICK') == '1'
part = os.environ.get('BED_CASE', '')
datastore_folder = os.environ['SERVER_DATASTORE']
_cases = []


def case(name, at=('host', 'center'), quick=False):
    """Names a function as a case; it fails by any exception."""
    def add(function):
        if endpoint in at and (quick or not quick_only) and part in name:
            _cases.append((name, function))
        return function
    return add


def on_datastore(*path):
    return os.path.join(datastore_folder, *path)


def refused(kind, action):
    """The exception of an action; that there is none is an error."""
    try:
        action()
    except kind as fault:
        return fault
    raise AssertionError('no %s' % getattr(kind, '__name__', kind))


def at_last(look, seconds=60):
    """Looks until what is asserted holds: clients beside this one may be at work."""
    deadline = time.time() + seconds
    while True:
        try:
            return look()
        except AssertionError:
            if time.time() > deadline:
                raise
        time.sleep(0.2)


def run_cases():
    emit({'plan': [name for name, _ in _cases]})
    for name, function in _cases:
        began = time.time()
        outcome = {'case': name, 'passed': True}
        try:
            function()
        except Exception as error:  # what a client throws may be anything
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if '/clients/bed/' in frame.filename]
            outcome.update(
                passed=False, command='%s of %s' % (function.__name__, os.path.basename(frames[-1].filename)),
                said='%s: %s' % (type(error).__name__, error),
                expected='\n'.join('%s:%d: %s' % (os.path.basename(frame.filename), frame.lineno, frame.line)
                                   for frame in frames[1:]))
        outcome['seconds'] = time.time() - began
        emit(outcome)


def emit(line):
    print(json.dumps(line), flush=True)
