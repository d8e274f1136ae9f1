"""What the pyVmomi scripts share: sign-in, tasks, and a look at the engines behind the interface."""
import os
import re
import socket
import ssl
import time

from pyVim.connect import SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim

address = os.environ['SERVER_HOST']
port = int(os.environ['SERVER_PORT'])
user = os.environ['SERVER_USER']
password = os.environ['SERVER_PASSWORD']
home = os.environ['SERVER_HOME']
datastore_folder = os.environ['SERVER_DATASTORE']


def sign_in(secret=password):
    context = ssl._create_unverified_context()
    return SmartConnect(host=address, port=port, user=user, pwd=secret, sslContext=context)


def wait(service, task):
    """The result of a task; its fault is raised."""
    WaitForTask(task, si=service)
    return task.info.result


def step(name):
    print(name, flush=True)


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
