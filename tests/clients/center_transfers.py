"""Brings files to a datastore of a host of a center, and takes them; imports an appliance by a lease."""
import hashlib
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

from pyVmomi import vim

from center import compute, content, datacenter, datastore, host, pool, refused, service, step, wait
from host import address, cookie_of, datastore_folder, port

cookie = cookie_of(service)
context = ssl._create_unverified_context()
before = sorted(os.listdir(datastore_folder))


def send(method, url, data=None, headers=(), signed_in=True):
    asked = urllib.request.Request(url, data=data, method=method, headers=dict(headers))
    if signed_in:
        asked.add_header('Cookie', cookie)
    return urllib.request.urlopen(asked, context=context, timeout=60)


def request(method, path, *rest, **more):
    query = urllib.parse.urlencode({'dcPath': datacenter.name, 'dsName': datastore.name})
    url = 'https://%s:%d/folder/%s?%s' % (address, port, urllib.parse.quote(path), query)
    return send(method, url, *rest, **more)


def sum_of(data):
    return hashlib.sha256(data).hexdigest()


def status_of(action):
    try:
        return action().status
    except urllib.error.HTTPError as error:
        return error.code


body = os.urandom(3 * 1024 * 1024 + 17)
files = content.fileManager
root = '[%s] ' % datastore.name
files.MakeDirectory(root + 'media/ünder dir', datacenter, True)
assert os.path.isdir(os.path.join(datastore_folder, 'media/ünder dir'))
assert status_of(lambda: request('PUT', 'media/ünder dir/a b.iso', body)) in (200, 201)
stored = os.path.join(datastore_folder, 'media/ünder dir/a b.iso')
assert sum_of(open(stored, 'rb').read()) == sum_of(body)
assert status_of(lambda: request('PUT', 'media/secret.iso', b'x', signed_in=False)) == 401
assert sum_of(request('GET', 'media/ünder dir/a b.iso').read()) == sum_of(body)
part = request('GET', 'media/ünder dir/a b.iso', headers={'Range': 'bytes=1000-1999'})
assert part.status == 206 and part.read() == body[1000:2000]
assert status_of(lambda: request('HEAD', 'media/nothing.iso')) == 404
step('uploaded and downloaded')

wait(service, files.CopyDatastoreFile_Task(root + 'media/ünder dir/a b.iso', datacenter,
                                           root + 'media/copy.iso', datacenter, False))
wait(service, files.MoveDatastoreFile_Task(root + 'media/copy.iso', datacenter,
                                           root + 'media/moved.iso', datacenter, False))
assert sorted(os.listdir(os.path.join(datastore_folder, 'media'))) == ['moved.iso', 'ünder dir']
flags = vim.host.DatastoreBrowser.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=False)
search = vim.host.DatastoreBrowser.SearchSpec(matchPattern=['*.iso'], details=flags)
for browser in (datastore.browser, host.datastoreBrowser):
    found = wait(service, browser.SearchDatastore_Task(root + 'media/ünder dir', search))
    assert found.datastore == datastore, found
    assert [(info.path, info.fileSize) for info in found.file] == [('a b.iso', len(body))], found
fault = refused(vim.fault.FileNotFound, lambda: datastore.browser.SearchDatastore_Task(root + 'nowhere', search))
assert 'nowhere' in fault.file, fault
wait(service, files.DeleteDatastoreFile_Task(root + 'media', datacenter))
assert sorted(os.listdir(datastore_folder)) == before, os.listdir(datastore_folder)
step('copied, moved, browsed and deleted')

# As deploy_ovf.py does: the descriptor, a lease, the disk by POST to the URL that the lease tells.
folder = datacenter.vmFolder.CreateFolder('appliances of %s' % host.name)
descriptor = open(os.environ['OVF_DESCRIPTOR']).read()
name = 'appliance on %s' % host.name
params = vim.OvfManager.CreateImportSpecParams(entityName=name, diskProvisioning='thin', hostSystem=host)
made = content.ovfManager.CreateImportSpec(descriptor, pool, datastore, params)
assert not made.error and len(made.fileItem) == 1, made
lease = pool.ImportVApp(made.importSpec, folder, host)


def ready(opened):
    while opened.state == vim.HttpNfcLease.State.initializing:
        pass
    assert opened.state == vim.HttpNfcLease.State.ready, opened.error
    return opened.info


def url_of(each):
    # The star stands for the address that the client has used, as in govmomi.
    return each.url.replace('*', '%s:%d' % (address, port))


info = ready(lease)
url = next(each for each in info.deviceUrl if each.importKey == made.fileItem[0].deviceId)
lease.Progress(5)
streamed = open(os.environ['OVF_DISK'], 'rb').read()
assert status_of(lambda: send('POST', url_of(url), streamed, {'Content-Type': 'application/x-vnd.vmware-streamVmdk'})) in (200, 201)
assert info.entity.name == name
lease.Progress(100)
lease.Complete()
machine = info.entity
assert machine.parent == folder and machine.runtime.host == host and machine.resourcePool == pool, machine
backing = next(d for d in machine.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)).backing
assert backing.datastore == datastore and backing.fileName.startswith(root), backing
extent = os.path.join(datastore_folder, backing.fileName[len(root):].replace('.vmdk', '-flat.vmdk'))
whole = sum_of(open(extent, 'rb').read())
assert whole == os.environ['OVF_DISK_SHA256'], 'the bytes of the disk'
step('imported an appliance')

again = content.ovfManager.CreateImportSpec(descriptor, pool, datastore, vim.OvfManager.CreateImportSpecParams(
    entityName='given up', diskProvisioning='thin', hostSystem=host))
lease = pool.ImportVApp(again.importSpec, folder, host)
ready(lease)
lease.Abort()
assert [each.name for each in folder.childEntity] == [name]
wait(service, machine.Destroy_Task())
wait(service, folder.Destroy_Task())
assert sorted(os.listdir(datastore_folder)) == before, os.listdir(datastore_folder)
assert compute.host[0] == host
step('gave one up, destroyed the other')
