"""Files and appliances brought and taken by scripts (upload_file_to_datastore.py, deploy_ovf.py, export_vm.py …)."""
import hashlib
import os
import subprocess
import tempfile
import urllib.error

from pyVmomi import vim

from cases import case, on_datastore, refused
from engine import until
from face import (content, datacenter, datastore, destroy, devices, disk, engine_of, folder_url, host, machine_of, own,
                  placed, pool, scsi, send, size_of, wait)

root = '[datastore1] '
box = 'files of %s' % own


def sum_of(data):
    return hashlib.sha256(data).hexdigest()


def content_of(*path):
    with open(on_datastore(*path), 'rb') as file:
        return file.read()


@case('a folder made')
def folder():
    content.fileManager.MakeDirectory(root + box, datacenter, True)
    assert os.path.isdir(on_datastore(box))


@case('a file uploaded and downloaded', quick=True)
def transfer():
    body = os.urandom(1 << 20) + b'end'
    os.makedirs(on_datastore(box), exist_ok=True)
    assert send('PUT', folder_url(box + '/a b.iso'), body).status in (200, 201)
    assert sum_of(content_of(box, 'a b.iso')) == sum_of(body)
    assert sum_of(send('GET', folder_url(box + '/a b.iso')).read()) == sum_of(body)
    part = send('GET', folder_url(box + '/a b.iso'), headers={'Range': 'bytes=1000-1999'})
    assert part.status == 206 and part.read() == body[1000:2000]


@case('a file searched')
def searched():
    os.makedirs(on_datastore(box), exist_ok=True)
    with open(on_datastore(box, 'found.iso'), 'wb') as file:
        file.write(b'x' * 4321)
    details = vim.host.DatastoreBrowser.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=False)
    spec = vim.host.DatastoreBrowser.SearchSpec(matchPattern=['found*'], details=details)
    found = wait(datastore.browser.SearchDatastoreSubFolders_Task(root + box, spec))
    assert [(each.path, each.fileSize) for result in found for each in result.file] == [('found.iso', 4321)], found


@case('a file copied, moved and deleted')
def copied():
    os.makedirs(on_datastore(box), exist_ok=True)
    with open(on_datastore(box, 'one'), 'wb') as file:
        file.write(b'one')
    files = content.fileManager
    wait(files.CopyDatastoreFile_Task(root + box + '/one', datacenter, root + box + '/two', datacenter, False))
    assert content_of(box, 'two') == b'one'
    refused(vim.fault.FileAlreadyExists, lambda: wait(files.CopyDatastoreFile_Task(
        root + box + '/one', datacenter, root + box + '/two', datacenter, False)))
    wait(files.MoveDatastoreFile_Task(root + box + '/two', datacenter, root + box + '/three', datacenter, False))
    assert not os.path.exists(on_datastore(box, 'two')) and content_of(box, 'three') == b'one'
    wait(files.DeleteDatastoreFile_Task(root + box, datacenter))
    assert not os.path.exists(on_datastore(box))
    try:
        send('GET', folder_url(box + '/three'))
        raise AssertionError('read what is gone')
    except urllib.error.HTTPError as error:
        assert error.code == 404, error


@case('a virtual disk by itself')
def virtual_disk():
    manager = content.virtualDiskManager
    content.fileManager.MakeDirectory(root + box, datacenter, True)
    name = root + box + '/alone.vmdk'
    wait(manager.CreateVirtualDisk_Task(name, datacenter, vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
        diskType='thin', adapterType='lsiLogic', capacityKb=4096)))
    assert size_of(on_datastore(box, 'alone-flat.vmdk')) == 4 << 20
    wait(manager.ExtendVirtualDisk_Task(name, datacenter, 8192, False))
    assert size_of(on_datastore(box, 'alone-flat.vmdk')) == 8 << 20
    wait(manager.DeleteVirtualDisk_Task(name, datacenter))
    assert not os.path.exists(on_datastore(box, 'alone-flat.vmdk'))


def leased(lease):
    until(lambda: lease.state != vim.HttpNfcLease.State.initializing, 'the lease', 120)
    assert lease.state == vim.HttpNfcLease.State.ready, lease.error
    return lease.info


def raw_of(stream):
    """What a streamOptimized disk holds, read by qemu-img."""
    with tempfile.TemporaryDirectory() as folder:
        packed, raw = os.path.join(folder, 'disk.vmdk'), os.path.join(folder, 'disk.raw')
        with open(packed, 'wb') as file:
            file.write(stream)
        subprocess.run(['qemu-img', 'convert', '-f', 'vmdk', '-O', 'raw', packed, raw], check=True)
        with open(raw, 'rb') as file:
            return file.read()


def exported(machine):
    """The descriptor and the disk of a machine, by a lease."""
    lease = machine.ExportVm()
    info = leased(lease)
    [url] = [each for each in info.deviceUrl if each.disk]
    stream = send('GET', placed(url.url)).read()
    lease.Progress(50)
    made = content.ovfManager.CreateDescriptor(machine, vim.OvfManager.CreateDescriptorParams(
        ovfFiles=[vim.OvfManager.OvfFile(deviceId=url.key, path='disk1.vmdk', size=len(stream))]))
    assert not made.error, made.error
    lease.Complete()
    return made.ovfDescriptor, stream


@case('a machine exported', quick=True)
def export():
    with machine_of('exported', on=True) as machine:
        engine_of(machine).disk_io('write -P 102 65536 65536', 'flush')
        wait(machine.PowerOffVM_Task())
        descriptor, stream = exported(machine)
        assert '<Envelope' in descriptor and 'disk1.vmdk' in descriptor
        assert raw_of(stream) == content_of(machine.name, machine.name + '-flat.vmdk')


@case('an appliance imported')
def imported():
    with machine_of('model', on=True) as machine:
        engine_of(machine).disk_io('write -P 119 0 65536', 'flush')
        wait(machine.PowerOffVM_Task())
        descriptor, stream = exported(machine)
    params = vim.OvfManager.CreateImportSpecParams(entityName='%s-imported' % own, diskProvisioning='thin', hostSystem=host)
    made = content.ovfManager.CreateImportSpec(descriptor, pool, datastore, params)
    assert not made.error and len(made.fileItem) == 1, made
    lease = pool.ImportVApp(made.importSpec, datacenter.vmFolder, host)
    info = leased(lease)
    [url] = [each for each in info.deviceUrl if each.importKey == made.fileItem[0].deviceId]
    assert send('POST', placed(url.url), stream, {'Content-Type': 'application/x-vnd.vmware-streamVmdk'}).status in (200, 201)
    lease.Complete()
    copy = info.entity
    try:
        backing = devices(copy, vim.vm.device.VirtualDisk)[0].backing.fileName
        flat = backing.split('] ')[1].replace('.vmdk', '-flat.vmdk')
        assert content_of(flat)[:65536] == bytes([119]) * 65536
        wait(copy.PowerOnVM_Task())
        assert engine_of(copy) is not None
    finally:
        destroy(copy)


@case('an import given up')
def given_up():
    with machine_of('abandoned', devices=[scsi(), disk(4)]) as machine:
        descriptor, _ = exported(machine)
    params = vim.OvfManager.CreateImportSpecParams(entityName='%s-given-up' % own, diskProvisioning='thin', hostSystem=host)
    made = content.ovfManager.CreateImportSpec(descriptor, pool, datastore, params)
    lease = pool.ImportVApp(made.importSpec, datacenter.vmFolder, host)
    leased(lease)
    lease.Abort()
    until(lambda: not os.path.exists(on_datastore('%s-given-up' % own)), 'nothing is left', 120)
