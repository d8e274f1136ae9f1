"""Clones a machine of a center whole and linked, makes a template of it, customizes what is made, and moves it."""
import os

from pyVmomi import vim

from center import content, datacenter, datastore, host, pool, refused, service, step, wait
from host import datastore_folder

folder = datacenter.vmFolder


def exists(*path):
    return os.path.exists(os.path.join(datastore_folder, *path))


def clone(source, name, location=None, **members):
    members.setdefault('powerOn', False)
    members.setdefault('template', False)
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(**(location or {})), **members)
    return wait(service, source.CloneVM_Task(folder=folder, name=name, spec=spec))


scsi = vim.vm.device.VirtualDeviceSpec(
    operation='add', device=vim.vm.device.ParaVirtualSCSIController(key=-1, busNumber=0, sharedBus='noSharing'))
disk = vim.vm.device.VirtualDeviceSpec(
    operation='add', fileOperation='create',
    device=vim.vm.device.VirtualDisk(key=-2, controllerKey=-1, unitNumber=0, capacityInKB=8192,
                                     backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
                                         fileName='', diskMode='persistent', thinProvisioned=True)))
golden = wait(service, folder.CreateVM_Task(
    config=vim.vm.ConfigSpec(name='golden', guestId='otherLinux64Guest', deviceChange=[scsi, disk],
                             files=vim.vm.FileInfo(vmPathName='[%s]' % datastore.name)), pool=pool, host=host))
copy = clone(golden, 'copy', config=vim.vm.ConfigSpec(annotation='a copy', memoryMB=64))
assert copy.config.uuid != golden.config.uuid and copy.config.instanceUuid != golden.config.instanceUuid
assert copy.config.annotation == 'a copy' and copy.config.hardware.memoryMB == 64
assert exists('copy', 'copy-flat.vmdk')
step('a whole clone, with a configuration of its own')

wait(service, golden.CreateSnapshot_Task(name='base', description='', memory=False, quiesce=False))
base = golden.snapshot.currentSnapshot
link = {'diskMoveType': 'createNewChildDiskBacking'}
tasks = [golden.CloneVM_Task(folder=folder, name='desk%d' % number, spec=vim.vm.CloneSpec(
    location=vim.vm.RelocateSpec(**link), snapshot=base, powerOn=False, template=False)) for number in range(5)]
desks = [wait(service, task) for task in tasks]
assert len({desk.config.uuid for desk in desks}) == 5
backing = [device for device in desks[0].config.hardware.device
           if isinstance(device, vim.vm.device.VirtualDisk)][0].backing
assert backing.parent.fileName == '[%s] golden/golden.vmdk' % datastore.name, backing.parent
step('linked clones, many at a time')

wait(service, base.RemoveSnapshot_Task(removeChildren=False))
wait(service, desks[0].PowerOnVM_Task())
wait(service, desks[0].PowerOffVM_Task())
step('what they stand on stays')

copy.MarkAsTemplate()
assert copy.config.template and copy.resourcePool is None
assert isinstance(refused(vim.fault.InvalidState, lambda: copy.PowerOnVM_Task()), vim.fault.InvalidState)
manager = content.customizationSpecManager
identity = vim.vm.customization.LinuxPrep(
    hostName=vim.vm.customization.FixedName(name='web1'), domain='example.com', timeZone='Europe/Zurich')
customization = vim.vm.customization.Specification(
    identity=identity, globalIPSettings=vim.vm.customization.GlobalIPSettings(dnsServerList=['192.0.2.53']))
info = vim.CustomizationSpecInfo(name='linux', description='', type='Linux')
manager.CreateCustomizationSpec(item=vim.CustomizationSpecItem(info=info, spec=customization))
assert [each.name for each in manager.info] == ['linux']
text = manager.CustomizationSpecItemToXml(item=manager.GetCustomizationSpec(name='linux'))
assert manager.XmlToCustomizationSpecItem(specItemXml=text).spec.identity.hostName.name == 'web1'
made = clone(copy, 'made', {'pool': pool}, customization=manager.GetCustomizationSpec(name='linux').spec)
assert not made.config.template and made.resourcePool == pool
wait(service, made.PowerOnVM_Task())
with open(os.path.join(datastore_folder, 'made', '.hypo', 'customization.iso'), 'rb') as medium:
    assert b'web1.example.com' in medium.read()
wait(service, made.PowerOffVM_Task())
manager.DeleteCustomizationSpec(name='linux')
copy.MarkAsVirtualMachine(pool=pool)
assert copy.resourcePool == pool
step('a template, and a machine of it that is told who it is')

wait(service, made.RelocateVM_Task(spec=vim.vm.RelocateSpec(transform='flat')))
flat = os.stat(os.path.join(datastore_folder, 'made', 'made-flat.vmdk'))
assert flat.st_blocks * 512 >= flat.st_size
for machine in [copy, made] + desks + [golden]:
    wait(service, machine.Destroy_Task())
assert not any(exists(name) for name in ['golden', 'copy', 'made', 'desk0', 'desk4'])
step('thick disks, and nothing left at the end')
