"""Processes and files of a real guest by GuestOperationsManager, as pyVmomi scripts do; effects are looked at inside."""
import re
import ssl
import urllib.error
import urllib.request

from pyVmomi import vim, vmodl

from host import Guest, address, only_engine, port, sign_in, step, until, wait

service = sign_in()
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
compute = datacenter.hostFolder.childEntity[0]
machine = next((m for m in datacenter.vmFolder.childEntity if m.name == 'guest'), None)
if machine is None:
    machine = wait(service, datacenter.vmFolder.RegisterVM_Task(
        path='[datastore1] guest/guest.vmx', name=None, asTemplate=False, pool=compute.resourcePool,
        host=compute.host[0] if content.about.apiType == 'VirtualCenter' else None))
manager = content.guestOperationsManager
processes, files, auth = manager.processManager, manager.fileManager, manager.authManager
Login = vim.vm.guest.NamePasswordAuthentication
Program = vim.vm.guest.ProcessManager.ProgramSpec
root = Login(interactiveSession=False, username='root', password='guest-secret-1')
user = Login(interactiveSession=False, username='operator', password='operator-secret-1')
unsafe = ssl._create_unverified_context()


def fails(kind, function, *arguments):
    try:
        function(*arguments)
    except kind as fault:
        return fault
    raise SystemExit('%s was not raised by %s%s' % (kind.__name__, function.__name__, arguments))


def ended(credentials, pid):
    def look():
        found = processes.ListProcessesInGuest(machine, credentials, [pid])
        return found and found[0].endTime is not None and found[0]
    return until(look, 'process %d ends' % pid)


def place(url):
    return re.sub(r'^https://\*:', 'https://%s:' % address, url)


def put(url, body, method='PUT'):
    request = urllib.request.Request(place(url), data=body, method=method)
    with urllib.request.urlopen(request, context=unsafe) as answer:
        return answer.status


def get(url):
    with urllib.request.urlopen(place(url), context=unsafe) as answer:
        return answer.read()


if machine.runtime.powerState != 'poweredOn':
    fails(vim.fault.InvalidPowerState, auth.ValidateCredentialsInGuest, machine, root)
    wait(service, machine.PowerOnVM_Task())
    fails(vim.fault.GuestOperationsUnavailable, auth.ValidateCredentialsInGuest, machine, root)
until(lambda: machine.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen', 120)
guest = Guest(only_engine().serial_socket)
assert machine.guest.guestOperationsReady
step('ready')

auth.ValidateCredentialsInGuest(machine, root)
auth.ValidateCredentialsInGuest(machine, user)
for wrong in [('root', 'wrong'), ('operator', 'guest-secret-1'), ('nobody-here', 'x'), ('-c', 'x'), ('root', '')]:
    fails(vim.fault.InvalidGuestLogin, auth.ValidateCredentialsInGuest, machine,
          Login(interactiveSession=False, username=wrong[0], password=wrong[1]))
fails(vim.fault.OperationNotSupportedByGuest, auth.ValidateCredentialsInGuest, machine,
      Login(interactiveSession=True, username='root', password='guest-secret-1'))
ticket = auth.AcquireCredentialsInGuest(machine, user, None)
assert processes.ReadEnvironmentVariableInGuest(machine, ticket, ['USER']) == ['USER=operator']
auth.ReleaseCredentialsInGuest(machine, ticket)
fails(vim.fault.InvalidGuestLogin, auth.ValidateCredentialsInGuest, machine, ticket)
step('names, passwords and tickets')

pid = processes.StartProgramInGuest(machine, user, Program(
    programPath='/bin/sh', arguments="-c 'id -u; pwd; echo \"$WORD\"; exit 7' > /tmp/out 2>&1", workingDirectory='/proc',
    envVariables=["WORD=it's \"quoted\" $HOME"]))
process = ended(user, pid)
assert process.exitCode == 7 and process.owner == 'operator', process
assert process.startTime <= process.endTime
said = guest.run('cat /tmp/out').splitlines()
assert said == ['1000', '/proc', "it's \"quoted\" $HOME"], said
assert guest.run('stat -c %U /tmp/out') == 'operator'
assert ended(user, processes.StartProgramInGuest(machine, root, Program(
    programPath='/bin/sh', arguments='-c "exit 0"'))).exitCode == 0
fails(vim.fault.FileNotFound, processes.StartProgramInGuest, machine, user,
      Program(programPath='/no/such', arguments=''))
fails(vim.fault.GuestPermissionDenied, processes.StartProgramInGuest, machine, user,
      Program(programPath='/etc/passwd', arguments=''))
step('programs run as who signed in')

pid = processes.StartProgramInGuest(machine, root, Program(programPath='/bin/sleep', arguments='1000'))
listed = {p.pid: p for p in processes.ListProcessesInGuest(machine, user)}
assert listed[pid].name == 'sleep' and listed[pid].owner == 'root' and 'sleep 1000' in listed[pid].cmdLine, listed[pid]
assert listed[1].cmdLine and any(p.name == 'qemu-ga' for p in listed.values())
assert guest.run('cat /proc/%d/comm' % pid) == 'sleep'
fails(vim.fault.GuestPermissionDenied, processes.TerminateProcessInGuest, machine, user, pid)
processes.TerminateProcessInGuest(machine, root, pid)
assert ended(root, pid).exitCode == 143
fails(vim.fault.GuestProcessNotFound, processes.TerminateProcessInGuest, machine, root, 999999)
pid = processes.StartProgramInGuest(machine, user, Program(
    programPath='/bin/sh', arguments='-c "trap : TERM; while true; do sleep 1; done"'))
processes.TerminateProcessInGuest(machine, user, pid)
assert ended(user, pid).exitCode == 137
step('processes listed and ended')

environment = processes.ReadEnvironmentVariableInGuest(machine, user)
assert 'HOME=/home/operator' in environment and not any('secret' in each for each in environment), environment
assert guest.run('cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -c "secret-[1]" || true') == '0'
step('environment')

files.MakeDirectoryInGuest(machine, user, '/home/operator/a dir/b', True)
fails(vim.fault.FileAlreadyExists, files.MakeDirectoryInGuest, machine, user, '/home/operator/a dir/b', True)
fails(vim.fault.FileNotFound, files.MakeDirectoryInGuest, machine, user, '/home/operator/x/y', False)
fails(vim.fault.GuestPermissionDenied, files.MakeDirectoryInGuest, machine, user, '/etc/x', False)
one = files.CreateTemporaryFileInGuest(machine, user, 'one-', '.txt', '/home/operator/a dir')
assert guest.run("stat -c '%%a %%U' '%s'" % one) == '600 operator', one
assert re.fullmatch(r'/home/operator/a dir/one-.*\.txt', one), one
folder = files.CreateTemporaryDirectoryInGuest(machine, user, 'd', 'x', None)
assert guest.run("stat -c '%%F %%a' '%s'" % folder) == 'directory 700' and folder.startswith('/tmp/')
files.MoveFileInGuest(machine, user, one, "/home/operator/a dir/it's $x", False)
fails(vim.fault.FileAlreadyExists, files.MoveFileInGuest, machine, user, "/home/operator/a dir/it's $x", '/etc/passwd', False)
fails(vim.fault.NotAFile, files.MoveFileInGuest, machine, user, '/home/operator/a dir', '/tmp/y', False)
fails(vim.fault.NotADirectory, files.MoveDirectoryInGuest, machine, user, '/etc/passwd', '/tmp/y')
files.MoveDirectoryInGuest(machine, user, '/home/operator/a dir', '/home/operator/moved')
assert guest.run('ls -1A /home/operator/moved').splitlines() == ['b', "it's $x"]
fails(vim.fault.NotAFile, files.DeleteFileInGuest, machine, user, '/home/operator/moved')
fails(vim.fault.DirectoryNotEmpty, files.DeleteDirectoryInGuest, machine, user, '/home/operator/moved', False)
files.DeleteFileInGuest(machine, user, "/home/operator/moved/it's $x")
fails(vim.fault.FileNotFound, files.DeleteFileInGuest, machine, user, "/home/operator/moved/it's $x")
files.DeleteDirectoryInGuest(machine, user, '/home/operator/moved', True)
files.DeleteDirectoryInGuest(machine, user, folder, False)
assert guest.run('ls -1A /home/operator') == ''
step('files and folders')

guest.run('mkdir /tmp/many; cd /tmp/many; for i in $(seq 100 169); do echo $i >f$i; done; ln -s f100 link; mkdir sub; '
          'chmod 640 f100; chown 1000:0 f100; touch -d @86400 f100')
page = files.ListFilesInGuest(machine, user, '/tmp/many')
assert len(page.files) == 50 and page.remaining == 24, (len(page.files), page.remaining)
rest = files.ListFilesInGuest(machine, user, '/tmp/many', 50, 100)
names = [f.path for f in page.files + rest.files]
assert rest.remaining == 0 and sorted(names) == sorted(['.', '..', 'link', 'sub'] + ['f%d' % i for i in range(100, 170)])
matched = files.ListFilesInGuest(machine, user, '/tmp/many', 0, 50, r'^f1\d0$|link')
found = {f.path: f for f in matched.files}
assert sorted(found) == ['f100', 'f110', 'f120', 'f130', 'f140', 'f150', 'f160', 'link'], found
assert found['link'].type == 'symlink' and found['link'].attributes.symlinkTarget == 'f100'
facts = found['f100'].attributes
assert (found['f100'].size, facts.permissions, facts.ownerId, facts.groupId) == (4, 0o640, 1000, 0), found['f100']
assert facts.modificationTime.timestamp() == 86400, facts
fails(vmodl.fault.InvalidArgument, files.ListFilesInGuest, machine, user, '/tmp/many', 0, 50, '(((')
fails(vim.fault.FileNotFound, files.ListFilesInGuest, machine, user, '/nowhere')
fails(vim.fault.GuestPermissionDenied, files.ListFilesInGuest, machine, user, '/root')
single = files.ListFilesInGuest(machine, user, '/tmp/many/f101').files
assert [f.type for f in single] == ['file'], single
files.ChangeFileAttributesInGuest(machine, root, '/tmp/many/f101', vim.vm.guest.FileManager.PosixFileAttributes(
    ownerId=1000, groupId=1000, permissions=0o4755, modificationTime=facts.modificationTime))
assert guest.run("stat -c '%a %u %g %Y' /tmp/many/f101") == '4755 1000 1000 86400'
fails(vim.fault.GuestPermissionDenied, files.ChangeFileAttributesInGuest, machine, user, '/tmp/many/f102',
      vim.vm.guest.FileManager.PosixFileAttributes(permissions=0o777))
step('folders listed, attributes changed')

body = bytes(range(256)) * 11000 + b'end'
Attributes = vim.vm.guest.FileManager.PosixFileAttributes
url = files.InitiateFileTransferToGuest(machine, user, '/home/operator/big', Attributes(permissions=0o604), len(body), False)
assert put(url, body) == 200
for again in (put, lambda url, body: get(url)):
    try:
        again(url, body)
        raise SystemExit('an address was good twice')
    except urllib.error.HTTPError as error:
        assert error.code == 404, error
assert guest.run("stat -c '%s %a %U' /home/operator/big") == '%d 604 operator' % len(body)
transfer = files.InitiateFileTransferFromGuest(machine, user, '/home/operator/big')
assert transfer.size == len(body) and transfer.attributes.permissions == 0o604, transfer
assert get(transfer.url) == body
fails(vim.fault.FileAlreadyExists, files.InitiateFileTransferToGuest, machine, user, '/home/operator/big', Attributes(), 3, False)
assert put(files.InitiateFileTransferToGuest(machine, user, '/home/operator/big', Attributes(), 3, True), b'new') == 200
assert guest.run("cat /home/operator/big; stat -c ' %a' /home/operator/big") == 'new 604'
try:
    put(files.InitiateFileTransferToGuest(machine, user, '/home/operator/big', Attributes(), 4, True), b'wrong')
    raise SystemExit('a file of another size was taken')
except urllib.error.HTTPError as error:
    assert error.code in (400, 500), error
assert guest.run('cat /home/operator/big; ls -1A /home/operator') == 'newbig'
assert put(files.InitiateFileTransferToGuest(machine, user, '/home/operator/empty', Attributes(), 0, False), b'') == 200
assert get(files.InitiateFileTransferFromGuest(machine, user, '/home/operator/empty').url) == b''
fails(vim.fault.GuestPermissionDenied, files.InitiateFileTransferFromGuest, machine, user, '/etc/shadow')
fails(vim.fault.GuestPermissionDenied, files.InitiateFileTransferToGuest, machine, user, '/etc/new', Attributes(), 1, False)
fails(vim.fault.NotAFile, files.InitiateFileTransferFromGuest, machine, user, '/tmp')
fails(vim.fault.FileNotFound, files.InitiateFileTransferFromGuest, machine, user, '/nowhere')
step('files transferred')

aliases = manager.aliasManager
base64 = ''.join(ssl.get_server_certificate((address, port)).split('\n')[1:-2])
Alias = vim.vm.guest.AliasManager
info = Alias.GuestAuthAliasInfo(subject=Alias.GuestAuthNamedSubject(name='ann'), comment='first')
aliases.AddGuestAlias(machine, user, 'operator', True, base64, info)
aliases.AddGuestAlias(machine, root, 'operator', False, base64,
                      Alias.GuestAuthAliasInfo(subject=Alias.GuestAuthAnySubject(), comment='second'))
listed = aliases.ListGuestAliases(machine, user, 'operator')
assert [a.comment for a in listed[0].aliases] == ['first', 'second'], listed
assert aliases.ListGuestMappedAliases(machine, root)[0].username == 'operator'
fails(vim.fault.GuestPermissionDenied, aliases.ListGuestAliases, machine, user, 'root')
fails(vim.fault.GuestMultipleMappings, aliases.AddGuestAlias, machine, root, 'root', True, base64, info)
fails(vmodl.fault.InvalidArgument, aliases.AddGuestAlias, machine, root, 'root', True, 'nonsense', info)
aliases.RemoveGuestAlias(machine, user, 'operator', base64, Alias.GuestAuthNamedSubject(name='ann'))
aliases.RemoveGuestAliasByCert(machine, user, 'operator', base64)
assert not aliases.ListGuestAliases(machine, user, 'operator')
step('aliases')

events = content.eventManager.QueryEvents(vim.event.EventFilterSpec(
    entity=vim.event.EventFilterSpec.ByEntity(entity=machine, recursion='self')))
messages = [e.fullFormattedMessage for e in events if isinstance(e, vim.event.EventEx)]
assert any('operator in the guest started /bin/sh' in m for m in messages), messages
assert not any('secret' in m for m in messages)
step('events')
