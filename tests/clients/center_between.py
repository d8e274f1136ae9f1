"""Machines, files and disks between two hosts of a center that share no datastore."""
import os

from pyVmomi import vim

from center import content, datacenter, datastore, every, host, pool, refused, service, step, wait
from host import datastore_folder

folder = datacenter.vmFolder
near_host = next(each for each in every(vim.HostSystem) if each != host)
near_pool = near_host.parent.resourcePool
near = near_host.datastore[0]
near_folder = os.environ['NEAR_DATASTORE']
size = 8 << 20


def flat(base, *path):
    with open(os.path.join(base, *path), 'rb') as file:
        return file.read()


def there(base, name):
    return os.path.exists(os.path.join(base, name))


scsi = vim.vm.device.VirtualDeviceSpec(
    operation='add', device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus='noSharing'))
disk = vim.vm.device.VirtualDeviceSpec(
    operation='add', fileOperation='create',
    device=vim.vm.device.VirtualDisk(key=-2, controllerKey=-1, unitNumber=0, capacityInKB=size >> 10,
                                     backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                                         fileName='', diskMode='persistent', thinProvisioned=True)))
web = wait(service, folder.CreateVM_Task(
    config=vim.vm.ConfigSpec(name='roamer', guestId='otherLinux64Guest', deviceChange=[scsi, disk], memoryMB=64,
                             annotation='roams', files=vim.vm.FileInfo(vmPathName='[%s]' % near.name),
                             extraConfig=[vim.option.OptionValue(key='guestinfo.role', value='front')]),
    pool=near_pool, host=near_host))
with open(os.path.join(near_folder, 'roamer', 'roamer-flat.vmdk'), 'r+b') as file:
    for at in (0, 100_000, 5_000_000, size - 4096):
        file.seek(at)
        file.write(os.urandom(4096))
before = flat(near_folder, 'roamer', 'roamer-flat.vmdk')


def clone(name, **members):
    members.setdefault('powerOn', False)
    members.setdefault('template', False)
    location = vim.vm.RelocateSpec(pool=pool, host=host, datastore=datastore)
    spec = vim.vm.CloneSpec(location=location, **members)
    return wait(service, web.CloneVM_Task(folder=folder, name=name, spec=spec))


copy = clone('settler', powerOn=True, config=vim.vm.ConfigSpec(annotation='settled'))
assert copy.runtime.host == host and copy.runtime.powerState == 'poweredOn'
assert copy.config.uuid != web.config.uuid and copy.config.annotation == 'settled'
assert {each.key: each.value for each in copy.config.extraConfig}['guestinfo.role'] == 'front'
wait(service, copy.PowerOffVM_Task())
assert flat(datastore_folder, 'settler', 'settler-flat.vmdk') == before
wait(service, copy.Destroy_Task())
link = vim.vm.CloneSpec(powerOn=False, template=False, location=vim.vm.RelocateSpec(
    pool=pool, datastore=datastore, diskMoveType='createNewChildDiskBacking'))
refused(vim.fault.NotSupported if hasattr(vim.fault, 'NotSupported') else Exception,
        lambda: web.CloneVM_Task(folder=folder, name='linked', spec=link))
step('cloned to another host, and started there')

wait(service, web.PowerOnVM_Task())
live = clone('snapped', template=True)
assert live.config.template and live.runtime.host == host and web.snapshot is None
assert flat(datastore_folder, 'snapped', 'snapped-flat.vmdk') == before
move = vim.vm.RelocateSpec(pool=pool, host=host, datastore=datastore)
refused(vim.fault.InvalidPowerState, lambda: web.RelocateVM_Task(spec=move))
wait(service, web.PowerOffVM_Task())
wait(service, live.Destroy_Task())
step('cloned while it runs; moved only when it is off')

for name in ('one', 'two'):
    wait(service, web.CreateSnapshot_Task(name=name, description=name, memory=False, quiesce=False))
identity, reference = (web.config.uuid, web.config.instanceUuid), web._moId
wait(service, web.RelocateVM_Task(spec=move))
assert (web.config.uuid, web.config.instanceUuid) == identity and web._moId == reference
assert web.runtime.host == host and list(web.datastore) == [datastore] and web.resourcePool == pool
tree = web.snapshot.rootSnapshotList[0]
assert (tree.name, tree.childSnapshotList[0].name) == ('one', 'two')
assert not there(near_folder, 'roamer') and there(datastore_folder, 'roamer')
wait(service, web.PowerOnVM_Task())
wait(service, web.PowerOffVM_Task())
wait(service, web.RemoveAllSnapshots_Task())
assert flat(datastore_folder, 'roamer', 'roamer-flat.vmdk') == before
refused(vim.fault.CannotAccessVmConfig,
        lambda: web.MigrateVM_Task(host=near_host, pool=near_pool, priority='defaultPriority'))
events = {type(event).__name__.split('.')[-1]: event for event in content.eventManager.QueryEvents(
    vim.event.EventFilterSpec(entity=vim.event.EventFilterSpec.ByEntity(entity=web, recursion='self')))}
moved = events['vim.event.VmRelocatedEvent'.split('.')[-1]]
assert moved.sourceHost.host == near_host and moved.sourceDatastore.datastore == near
step('moved to another host with its snapshots: the same machine')

disks, files = content.virtualDiskManager, content.fileManager
path = '[%s] roamer/roamer.vmdk' % datastore.name
wait(service, disks.CopyVirtualDisk_Task(sourceName=path, sourceDatacenter=datacenter,
                                         destName='[%s] copied.vmdk' % near.name))
assert flat(near_folder, 'copied-flat.vmdk') == before
wait(service, files.MoveDatastoreFile_Task(
    sourceName='[%s] copied-flat.vmdk' % near.name, sourceDatacenter=datacenter,
    destinationName='[%s] bytes.bin' % datastore.name))
assert flat(datastore_folder, 'bytes.bin') == before and not there(near_folder, 'copied-flat.vmdk')
wait(service, files.DeleteDatastoreFile_Task(name='[%s] bytes.bin' % datastore.name, datacenter=datacenter))
wait(service, files.DeleteDatastoreFile_Task(name='[%s] copied.vmdk' % near.name, datacenter=datacenter))
step('disks and files copied and moved')
