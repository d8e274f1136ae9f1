"""Uploads, browses, downloads, copies and deletes files of a datastore, as upload_file_to_datastore.py does."""
import hashlib
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

from pyVmomi import vim

from host import address, cookie_of, datastore_folder, port, sign_in, step, wait

service = sign_in()
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
datastore = datacenter.datastore[0]
cookie = cookie_of(service)
context = ssl._create_unverified_context()
before = sorted(os.listdir(datastore_folder))


def request(method, path, data=None, headers=(), signed_in=True):
    query = urllib.parse.urlencode({'dcPath': datacenter.name, 'dsName': datastore.name})
    url = 'https://%s:%d/folder/%s?%s' % (address, port, urllib.parse.quote(path), query)
    asked = urllib.request.Request(url, data=data, method=method, headers=dict(headers))
    if signed_in:
        asked.add_header('Cookie', cookie)
    return urllib.request.urlopen(asked, context=context)


body = os.urandom(3 * 1024 * 1024 + 17)
digest = hashlib.sha256(body).hexdigest()
content.fileManager.MakeDirectory('[datastore1] media/ünder dir', datacenter, True)
assert os.path.isdir(os.path.join(datastore_folder, 'media/ünder dir'))
answer = request('PUT', 'media/ünder dir/a b.iso', body, {'Content-Type': 'application/octet-stream'})
assert answer.status in (200, 201), answer.status
stored = os.path.join(datastore_folder, 'media/ünder dir/a b.iso')
assert hashlib.sha256(open(stored, 'rb').read()).hexdigest() == digest
step('uploaded')

try:
    request('PUT', 'media/secret.iso', b'x', signed_in=False)
    raise SystemExit('taken from a stranger')
except urllib.error.HTTPError as error:
    assert error.code == 401, error
assert not os.path.exists(os.path.join(datastore_folder, 'media/secret.iso'))
step('refused without a session')

browser = datastore.browser
flags = vim.host.DatastoreBrowser.FileInfo.Details(fileType=True, fileSize=True, modification=True, fileOwner=False)
search = vim.host.DatastoreBrowser.SearchSpec(
    matchPattern=['*.iso'], details=flags, query=[vim.host.DatastoreBrowser.IsoImageQuery()])
found = wait(service, browser.SearchDatastore_Task('[datastore1] media/ünder dir', search))
assert [(info.path, info.fileSize) for info in found.file] == [('a b.iso', len(body))], found
assert isinstance(found.file[0], vim.host.DatastoreBrowser.IsoImageInfo), found.file[0]
below = wait(service, browser.SearchDatastoreSubFolders_Task('[datastore1]', vim.host.DatastoreBrowser.SearchSpec(
    matchPattern=['*.iso'], details=flags)))
assert any(result.folderPath.startswith('[datastore1] media/ünder dir') and len(result.file) == 1 for result in below)
try:
    wait(service, browser.SearchDatastore_Task('[datastore1] nowhere', search))
    raise SystemExit('found a folder that is not there')
except vim.fault.FileNotFound as fault:
    assert 'nowhere' in fault.file, fault
step('browsed')

answer = request('GET', 'media/ünder dir/a b.iso')
assert answer.status == 200 and int(answer.headers['Content-Length']) == len(body)
assert hashlib.sha256(answer.read()).hexdigest() == digest
part = request('GET', 'media/ünder dir/a b.iso', headers={'Range': 'bytes=1000-1999'})
assert part.status == 206 and part.read() == body[1000:2000]
step('downloaded')

files = content.fileManager
wait(service, files.CopyDatastoreFile_Task('[datastore1] media/ünder dir/a b.iso', datacenter,
                                           '[datastore1] media/copy.iso', datacenter, False))
assert hashlib.sha256(open(os.path.join(datastore_folder, 'media/copy.iso'), 'rb').read()).hexdigest() == digest
try:
    wait(service, files.CopyDatastoreFile_Task('[datastore1] media/ünder dir/a b.iso', datacenter,
                                               '[datastore1] media/copy.iso', datacenter, False))
    raise SystemExit('written over')
except vim.fault.FileAlreadyExists:
    pass
wait(service, files.MoveDatastoreFile_Task('[datastore1] media/copy.iso', datacenter,
                                           '[datastore1] media/moved.iso', datacenter, False))
assert sorted(os.listdir(os.path.join(datastore_folder, 'media'))) == ['moved.iso', 'ünder dir']
step('copied and moved')

wait(service, files.DeleteDatastoreFile_Task('[datastore1] media', datacenter))
assert sorted(os.listdir(datastore_folder)) == before, os.listdir(datastore_folder)
try:
    request('GET', 'media/moved.iso')
    raise SystemExit('read what is gone')
except urllib.error.HTTPError as error:
    assert error.code == 404, error
step('deleted')
