"""Snapshots of a guest that runs, with its memory and at rest, as backups take them (create_snapshot.py …)."""
import os

from pyVmomi import vim

from cases import case, endpoint, on_datastore
from face import engine_of, guest, guest_ready, inside, wait

note, process = '/root/pyvmomi-%s' % endpoint, '/tmp/pyvmomi-%s.pid' % endpoint


def left():
    return [name for name in os.listdir(on_datastore('bed-guest')) if name.endswith(('.vmem', '.vmsn')) or '-00000' in name]


@case('a snapshot with memory, and back')
def memory():
    guest_ready()
    with inside() as shell:
        shell.run('echo before >%s; sleep 1000 >/dev/null 2>&1 & echo $! >%s' % (note, process))
        boot = shell.run('cat /proc/sys/kernel/random/boot_id')
    snapshot = wait(guest.CreateSnapshot_Task('alive', '', True, False))
    assert guest.snapshot.rootSnapshotList[0].state == 'poweredOn' and left()
    with inside() as shell:
        shell.run('kill $(cat %s); echo after >%s' % (process, note))
    wait(snapshot.RevertToSnapshot_Task())
    assert guest.runtime.powerState == 'poweredOn' and engine_of(guest)
    with inside() as shell:
        assert shell.run('cat /proc/sys/kernel/random/boot_id') == boot
        assert shell.run('cat %s /proc/$(cat %s)/comm' % (note, process)).split() == ['before', 'sleep']
        shell.run('kill $(cat %s)' % process)
    wait(snapshot.RemoveSnapshot_Task(False))
    assert guest.snapshot is None and not left(), left()


@case('a snapshot at rest')
def quiesced():
    guest_ready()
    with inside() as shell:
        shell.run('echo rest >%s' % note)
    snapshot = wait(guest.CreateSnapshot_Task('rest', '', False, True))
    [tree] = guest.snapshot.rootSnapshotList
    assert tree.quiesced and tree.state == 'poweredOff', tree
    with inside() as shell:
        # It goes on writing.
        shell.run('echo on >>%s; sync' % note)
    wait(snapshot.RemoveSnapshot_Task(False))
    assert guest.snapshot is None and not left(), left()
    with inside() as shell:
        assert shell.run('cat ' + note).split() == ['rest', 'on']


@case('a snapshot renamed, and the configuration exported of it')
def renamed():
    snapshot = wait(guest.CreateSnapshot_Task('one', 'first', False, False))
    snapshot.RenameSnapshot(name='two', description='second')
    [tree] = guest.snapshot.rootSnapshotList
    assert (tree.name, tree.description) == ('two', 'second'), tree
    disks = [each for each in snapshot.config.hardware.device if isinstance(each, vim.vm.device.VirtualDisk)]
    assert [each.backing.fileName for each in disks] == ['[datastore1] images-bed-guest/boot.vmdk'], disks
    wait(guest.RemoveAllSnapshots_Task())
    assert guest.snapshot is None and not left(), left()
