"""A look at the engines behind an interface, and at the guests in them; needs no client."""
import json
import os
import re
import socket
import time

home = os.environ['SERVER_HOME']


class Engine:
    def __init__(self, pid, arguments):
        self.pid = pid
        self.arguments = arguments

    def option(self, name):
        return self.arguments[self.arguments.index(name) + 1]

    def files(self):
        return list(_files_of(self.pid))

    @property
    def memory_kib(self):
        return int(re.fullmatch(r'(\d+)K', self.option('-m')).group(1))

    @property
    def uuid(self):
        return self.option('-uuid')

    def has(self, part):
        """Whether an argument has a part."""
        return any(part in argument for argument in self.arguments)

    def monitor(self, command, **arguments):
        """What a command of QMP answers, by the engine's second monitor, which the server leaves free."""
        chardev = next(a for a in self.arguments if '/rescue-' in a)
        with socket.socket(socket.AF_UNIX) as plain:
            plain.settimeout(60)
            plain.connect(re.search('(?:path=|unix:)([^,]+)', chardev).group(1))
            lines = plain.makefile('r')
            for each in ({'execute': 'qmp_capabilities'}, {'execute': command, 'arguments': arguments}):
                plain.sendall((json.dumps(each) + '\n').encode())
                answer = {}
                while 'return' not in answer and 'error' not in answer:
                    answer = json.loads(lines.readline())
                assert 'return' in answer, answer
            return answer['return']

    def disk_io(self, *commands):
        """Does on the first disk what the guest would do, by qemu-io(1) at the guest's device."""
        device = next(each['qdev'] for each in self.monitor('query-block')
                      if re.search('(^|/)disk-', each.get('qdev') or ''))
        for command in commands:
            said = self.monitor('human-monitor-command', **{'command-line': 'qemu-io -d %s "%s"' % (device, command)})
            assert not re.search('error|fail|invalid|unknown', said, re.I), '%s: %s' % (command, said)

    @property
    def serial_socket(self):
        chardev = next(a for a in self.arguments if 'id=serial0,' in a)
        return re.search('path=([^,]+)', chardev).group(1)


def _files_of(pid):
    try:
        for descriptor in os.listdir('/proc/%s/fd' % pid):
            try:
                yield os.readlink('/proc/%s/fd/%s' % (pid, descriptor))
            except OSError:
                pass
    except OSError:
        pass


def engines():
    """QEMU processes that hold a file of this host's home."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open('/proc/%s/cmdline' % pid) as file:
                arguments = file.read().split('\0')[:-1]
        except OSError:
            continue
        if arguments and 'qemu-system-' in arguments[0]:
            if any(name.startswith(home + '/') for name in _files_of(pid)):
                found.append(Engine(int(pid), arguments))
    return found


def only_engine():
    found = engines()
    assert len(found) == 1, 'one engine, not %d' % len(found)
    return found[0]


def until(condition, what, seconds=60):
    """Polls until the condition holds; its value."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError('not within %d s: %s' % (seconds, what))


class Guest:
    """The shell on the serial port of the test guest."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.text = b''
        self.number = 0

    def expect(self, pattern, seconds=90):
        deadline = time.time() + seconds
        while True:
            match = re.search(pattern, self.text, re.S)
            if match:
                self.text = self.text[match.end():]
                return match
            self.socket.settimeout(max(0.1, deadline - time.time()))
            try:
                data = self.socket.recv(65536)
            except socket.timeout:
                data = b''
            assert data, 'no %r from the guest; it said %r' % (pattern, self.text[-500:])
            self.text += data

    def ready(self):
        return self.expect(rb'READY ([0-9a-f-]{36})').group(1).decode()

    def run(self, command):
        self.number += 1
        token = 'p%d' % self.number
        self.socket.sendall(('%s %s\n' % (token, command)).encode())
        match = self.expect(rb'(.*?)END ' + token.encode() + rb' (\d+)', 30)
        output = match.group(1).decode().replace('\r', '').strip()
        assert match.group(2) == b'0', '%s: %s' % (command, output)
        return output

    def close(self):
        self.socket.close()
