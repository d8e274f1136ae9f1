"""Machines and disks moved, copied and found on datastores by scripts (relocate_vm.py, list_vmdk_files.py …)."""
import os
import shutil

from pyVmomi import vim, vmodl

from cases import case, on_datastore, refused
from engine import home
from face import content, datacenter, datastore, devices, disk, engine_of, host, machine_of, own, scsi, size_of, wait

Disk = vim.vm.device.VirtualDisk
root = '[datastore1] '


class second_datastore:
    """A folder as another datastore, for one case."""

    def __init__(self):
        self.folder = os.path.join(home, 'second-%s' % own)
        os.makedirs(self.folder)
        self.system = host.configManager.datastoreSystem
        self.datastore = self.system.CreateLocalDatastore('second-%s' % own, self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.system.RemoveDatastore(self.datastore)
        shutil.rmtree(self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)


@case('a datastore made, renamed and removed')
def made():
    with second_datastore() as second:
        assert second.datastore in datacenter.datastore and second.datastore in host.datastore
        wait(second.datastore.Rename_Task('another-%s' % own))
        assert second.datastore.summary.name == 'another-%s' % own
        content.fileManager.MakeDirectory('[another-%s] here' % own, datacenter, False)
        assert os.path.isdir(second.path('here'))
        wait(content.fileManager.DeleteDatastoreFile_Task('[another-%s] here' % own, datacenter))
    refused(vmodl.fault.ManagedObjectNotFound, lambda: second.datastore.summary)


@case('moved to another datastore while it runs')
def moved_live():
    with second_datastore() as second, machine_of('moving', on=True) as machine:
        engine = engine_of(machine)
        engine.disk_io('write -P 85 0 65536', 'flush')
        name = machine.name
        wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(datastore=second.datastore)))
        assert engine_of(machine).pid == engine.pid
        engine_of(machine).disk_io('read -P 85 0 65536', 'write -P 86 65536 65536', 'flush')
        assert machine.config.files.vmPathName == '[second-%s] %s/%s.vmx' % (own, name, name), machine.config.files
        assert second.path(name, name + '-flat.vmdk') in engine_of(machine).files(), engine_of(machine).files()
        assert not os.path.exists(on_datastore(name)), os.listdir(on_datastore(name))
        wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(datastore=datastore)))
        engine_of(machine).disk_io('read -P 85 0 65536', 'read -P 86 65536 65536')
        assert engine_of(machine).pid == engine.pid and not os.path.exists(second.path(name))


@case('moved while it is off, thin made thick')
def moved_thick():
    with second_datastore() as second, machine_of('thicker', devices=[scsi(), disk(4), disk(4, unit=1)]) as machine:
        name = machine.name
        own_disks = devices(machine, Disk)
        thick = Disk.FlatVer2BackingInfo(fileName='', diskMode='persistent', thinProvisioned=False)
        other = vim.vm.RelocateSpec.DiskLocator(diskId=own_disks[1].key, datastore=second.datastore, diskBackingInfo=thick)
        # One disk by itself, which the machine has from there.
        wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(disk=[other])))
        assert [each.backing.datastore for each in devices(machine, Disk)] == [datastore, second.datastore]
        assert not os.path.exists(on_datastore(name, name + '_1-flat.vmdk')), os.listdir(on_datastore(name))

        def flat(index):
            path = devices(machine, Disk)[index].backing.fileName.split('] ')[1]
            return second.path(path.replace('.vmdk', '-flat.vmdk'))

        found = os.stat(flat(1))
        assert found.st_size == 4 << 20 and found.st_blocks * 512 >= found.st_size, found
        # And the machine after it.
        wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(datastore=second.datastore)))
        assert os.stat(flat(0)).st_blocks * 512 < 1 << 20
        assert not os.path.exists(on_datastore(name)) and list(machine.datastore) == [second.datastore]
        assert os.path.exists(second.path(machine.config.files.vmPathName.split('] ')[1]))
        wait(machine.PowerOnVM_Task())
        assert flat(1) in engine_of(machine).files()
        wait(machine.PowerOffVM_Task())
        wait(machine.RelocateVM_Task(vim.vm.RelocateSpec(datastore=datastore)))


@case('disks copied, grown, inflated and moved by themselves')
def disks():
    manager = content.virtualDiskManager
    box = 'disks of %s' % own
    content.fileManager.MakeDirectory(root + box, datacenter, True)

    def name(what):
        return '%s%s/%s.vmdk' % (root, box, what)

    def flat(what):
        return on_datastore(box, what + '-flat.vmdk')

    thin = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(diskType='thin', adapterType='lsiLogic', capacityKb=4096)
    wait(manager.CreateVirtualDisk_Task(name('one'), datacenter, thin))
    with open(flat('one'), 'r+b') as file:
        file.write(b'\x55' * 65536)
    wait(manager.CopyVirtualDisk_Task(name('one'), datacenter, name('two'), datacenter, None, False))
    with open(flat('two'), 'rb') as file:
        assert file.read(65537) == b'\x55' * 65536 + b'\0'
    refused(vim.fault.FileAlreadyExists, lambda: wait(
        manager.CopyVirtualDisk_Task(name('one'), datacenter, name('two'), datacenter, None, False)))
    wait(manager.ExtendVirtualDisk_Task(name('two'), datacenter, 8192, False))
    assert size_of(flat('two')) == 8 << 20
    wait(manager.InflateVirtualDisk_Task(name('two'), datacenter))
    assert os.stat(flat('two')).st_blocks * 512 >= 8 << 20
    wait(manager.MoveVirtualDisk_Task(name('two'), datacenter, name('three'), datacenter, False))
    assert size_of(flat('three')) == 8 << 20 and not os.path.exists(flat('two'))
    assert len(manager.QueryVirtualDiskUuid(name('three'), datacenter).replace('-', ' ').split()) == 16
    wait(content.fileManager.DeleteDatastoreFile_Task(root + box, datacenter))


@case('disks found, with what they are')
def found():
    details = vim.host.DatastoreBrowser.VmDiskQuery.Details(
        diskType=True, capacityKb=True, hardwareVersion=False, controllerType=True, thin=True)
    spec = vim.host.DatastoreBrowser.SearchSpec(
        query=[vim.host.DatastoreBrowser.VmDiskQuery(details=details)], matchPattern=['*.vmdk'], sortFoldersFirst=True,
        details=vim.host.DatastoreBrowser.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=False))
    with machine_of('found', devices=[scsi(), disk(4), disk(8, unit=1, thinProvisioned=False)]) as machine:
        name = machine.name
        for browser in (datastore.browser, machine.environmentBrowser.datastoreBrowser):
            if browser is None:
                continue
            [result] = wait(browser.SearchDatastoreSubFolders_Task(root + name, spec))
            disks = {each.path: (each.capacityKb, each.thin) for each in result.file}
            assert disks == {name + '.vmdk': (4096, True), name + '_1.vmdk': (8192, False)}, disks
