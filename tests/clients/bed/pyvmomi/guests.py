"""The guest of a machine, as scripts use it (execute_program_in_vm.py, upload_file_to_vm.py …), looked at inside."""
from pyVmomi import vim

from cases import case, endpoint, on_datastore, refused
from engine import engines, until
from face import content, engine_of, guest, guest_ready, inside, placed, root_login, send, wait

manager = content.guestOperationsManager
Program = vim.vm.guest.ProcessManager.ProgramSpec
there = '/tmp/pyvmomi-%s' % endpoint


@case('a program run', quick=True)
def program():
    guest_ready()
    pid = manager.processManager.StartProgramInGuest(guest, root_login, Program(
        programPath='/bin/sh', arguments="-c 'id -u >%s; exit 7'" % there))

    def ended():
        found = manager.processManager.ListProcessesInGuest(guest, root_login, [pid])
        return found and found[0].endTime is not None and found[0]
    assert until(ended, 'its end', 120).exitCode == 7
    with inside() as shell:
        assert shell.run('cat ' + there) == '0'


@case('a file sent and fetched')
def file():
    guest_ready()
    body = bytes(range(256)) * 400
    files = manager.fileManager
    url = files.InitiateFileTransferToGuest(guest, root_login, there + '-file',
                                            vim.vm.guest.FileManager.PosixFileAttributes(permissions=0o604), len(body), True)
    assert send('PUT', placed(url), body).status == 200
    with inside() as shell:
        assert shell.run("stat -c '%%s %%a' %s-file" % there) == '%d 604' % len(body)
    transfer = files.InitiateFileTransferFromGuest(guest, root_login, there + '-file')
    assert send('GET', placed(transfer.url)).read() == body


@case('a wrong password of the guest')
def wrong_password():
    guest_ready()
    login = vim.vm.guest.NamePasswordAuthentication(interactiveSession=False, username='root', password='wrong')
    refused(vim.fault.InvalidGuestLogin, lambda: manager.authManager.ValidateCredentialsInGuest(guest, login))


@case('a process ended')
def process():
    guest_ready()
    processes = manager.processManager
    pid = processes.StartProgramInGuest(guest, root_login, Program(programPath='/bin/sleep', arguments='1000'))
    with inside() as shell:
        until(lambda: shell.run('cat /proc/%d/comm 2>/dev/null || true' % pid) == 'sleep', 'the program', 60)
        processes.TerminateProcessInGuest(guest, root_login, pid)
        until(lambda: shell.run('cat /proc/%d/comm 2>/dev/null || true' % pid) != 'sleep', 'its end', 60)


@case('files and folders of the guest')
def files():
    guest_ready()
    own, folder = manager.fileManager, there + '-folder'
    own.MakeDirectoryInGuest(guest, root_login, folder + '/inner', True)
    path = own.CreateTemporaryFileInGuest(guest, root_login, 'bed-', '.txt', folder)
    with inside() as shell:
        assert shell.run('ls %s/*.txt' % folder) == path
    own.MoveFileInGuest(guest, root_login, path, folder + '/inner/moved', False)
    listed = own.ListFilesInGuest(guest, root_login, folder, 0, 100, None)
    kinds = {each.path: each.type for each in listed.files}
    assert kinds['inner'] == 'directory' and len([name for name in kinds if name not in ('.', '..')]) == 1, kinds
    refused(vim.fault.FileNotFound, lambda: own.DeleteFileInGuest(guest, root_login, path))
    own.DeleteDirectoryInGuest(guest, root_login, folder, True)
    with inside() as shell:
        assert shell.run('test -e %s || echo gone' % folder) == 'gone'


@case('a program with variables and a folder of its own')
def environment():
    guest_ready()
    spec = Program(programPath='/bin/sh', arguments="-c 'pwd >%s-env; echo $COLOUR >>%s-env'" % (there, there),
                   workingDirectory='/root', envVariables=['COLOUR=light blue'])
    pid = manager.processManager.StartProgramInGuest(guest, root_login, spec)

    def ended():
        found = manager.processManager.ListProcessesInGuest(guest, root_login, [pid])
        return found and found[0].endTime is not None
    until(ended, 'its end', 120)
    with inside() as shell:
        assert shell.run('cat %s-env' % there).splitlines() == ['/root', 'light blue']


@case('keys typed')
def keys():
    guest_ready()
    codes = {**{chr(ord('a') + n): 4 + n for n in range(26)}, ' ': 0x2c, '\n': 0x28, '/': 0x38, '.': 0x37}
    ScanCodes = vim.UsbScanCodeSpec
    events = []
    for letter in 'touch /tmp/keys.%s\n' % endpoint:
        events.append(ScanCodes.KeyEvent(usbHidCode=codes[letter] << 16 | 7))
    assert guest.PutUsbScanCodes(ScanCodes(keyEvents=events)) == len(events)
    with inside() as shell:
        until(lambda: shell.run('ls /tmp/keys.%s 2>/dev/null || true' % endpoint), 'the shell of the screen', 120)


@case('a screenshot')
def screenshot():
    guest_ready()
    path = wait(guest.CreateScreenshot_Task())
    with open(on_datastore(path.split('] ')[1]), 'rb') as picture:
        assert picture.read(8) == b'\x89PNG\r\n\x1a\n'


@case('suspended and resumed, its memory kept')
def suspend():
    guest_ready()
    with inside() as shell:
        boot = shell.run('cat /proc/sys/kernel/random/boot_id')
    wait(guest.SuspendVM_Task())
    assert engine_of(guest) is None
    wait(guest.PowerOnVM_Task())
    with inside() as shell:
        assert shell.run('cat /proc/sys/kernel/random/boot_id') == boot


@case('standing by, its memory kept')
def standby():
    guest_ready()
    with inside() as shell:
        boot = shell.run('cat /proc/sys/kernel/random/boot_id')
    guest.StandbyGuest()
    until(lambda: guest.runtime.powerState == 'suspended', 'it is suspended', 300)
    assert engine_of(guest) is None
    wait(guest.PowerOnVM_Task())
    with inside() as shell:
        assert shell.run('cat /proc/sys/kernel/random/boot_id') == boot


@case('rebooted by its agent')
def reboot():
    guest_ready()
    with inside() as shell:
        boot = shell.run('cat /proc/sys/kernel/random/boot_id')
        pid = engine_of(guest).pid
        guest.RebootGuest()
        assert shell.ready() == guest.config.uuid
        assert shell.run('cat /proc/sys/kernel/random/boot_id') != boot
    assert engine_of(guest).pid == pid


@case('shut down by its agent')
def shutdown():
    guest_ready()
    guest.ShutdownGuest()
    until(lambda: guest.runtime.powerState == 'poweredOff', 'it is off', 300)
    assert guest.config.uuid not in {engine.uuid for engine in engines()}
