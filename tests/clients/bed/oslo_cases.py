"""The cases of oslo.vmware, as Nova's, Cinder's and Glance's drivers use it."""
import os

from oslo_vmware import api, exceptions, image_transfer, rw_handles, vim_util

from cases import at_center, at_last, case, endpoint, on_datastore, refused, run_cases
from engine import engines

address, port = os.environ['SERVER_HOST'], int(os.environ['SERVER_PORT'])
user, password = os.environ['SERVER_USER'], os.environ['SERVER_PASSWORD']
own = 'oslo-%s' % endpoint
datacenter_name = 'Datacenter' if at_center else 'ha-datacenter'


def signed_in(secret=password):
    return api.VMwareAPISession(address, user, secret, 3, 0.2, port=port, create_session=True)


session = signed_in()
make = session.vim.client.factory.create


def objects(kind, *properties):
    """Properties of every object of a kind, page by page."""
    found = []
    answer = session.invoke_api(vim_util, 'get_objects', session.vim, kind, 2, list(properties))
    with vim_util.WithRetrieval(session.vim, answer) as pages:
        for each in pages:
            found.append((each.obj, vim_util.propset_dict(each.propSet)))
    return found


def machine(name):
    return next(ref for ref, values in objects('VirtualMachine', 'name') if values['name'] == name)


def get(ref, name):
    return session.invoke_api(vim_util, 'get_object_property', session.vim, ref, name)


def do(method, ref, **arguments):
    return session.wait_for_task(session.invoke_api(session.vim, method, ref, **arguments))


def first(kind):
    return objects(kind, 'name')[0][0]


def spec_of(name):
    spec = make('ns0:VirtualMachineConfigSpec')
    spec.name, spec.guestId, spec.numCPUs, spec.memoryMB = name, 'otherLinux64Guest', 1, 64
    spec.files = make('ns0:VirtualMachineFileInfo')
    spec.files.vmPathName = '[datastore1]'
    controller = make('ns0:VirtualDeviceConfigSpec')
    controller.operation = 'add'
    controller.device = make('ns0:VirtualLsiLogicController')
    controller.device.key, controller.device.busNumber, controller.device.sharedBus = -101, 0, 'noSharing'
    disk = make('ns0:VirtualDeviceConfigSpec')
    disk.operation, disk.fileOperation = 'add', 'create'
    disk.device = make('ns0:VirtualDisk')
    disk.device.key, disk.device.controllerKey, disk.device.unitNumber, disk.device.capacityInKB = -1, -101, 0, 4096
    disk.device.backing = make('ns0:VirtualDiskFlatVer2BackingInfo')
    disk.device.backing.fileName, disk.device.backing.diskMode = '', 'persistent'
    disk.device.backing.thinProvisioned = True
    spec.deviceChange = [controller, disk]
    return spec


def create(name):
    folder = next(ref for ref, values in objects('Folder', 'name') if values['name'] == 'vm')
    pool = next(ref for ref, values in objects('ResourcePool', 'name') if values['name'] == 'Resources')
    return do('CreateVM_Task', folder, config=spec_of(name), pool=pool).result


def runs(ref):
    return get(ref, 'config.uuid') in {engine.uuid for engine in engines()}


def destroy(ref):
    if get(ref, 'runtime.powerState') != 'poweredOff':
        do('PowerOffVM_Task', ref)
    do('Destroy_Task', ref)


@case('a wrong password', quick=True)
def wrong_password():
    refused(exceptions.VimFaultException, lambda: signed_in('not the password'))


@case('objects page by page', quick=True)
def pages():
    def look():
        running = {engine.uuid for engine in engines()}
        found = objects('VirtualMachine', 'name', 'config.uuid', 'runtime.powerState')
        assert {'bed-guest', 'bed-empty'} <= {values['name'] for _, values in found}, found
        for _, values in found:
            assert (values['runtime.powerState'] == 'poweredOn') == (values['config.uuid'] in running), values
    at_last(look)


@case('an inventory path')
def path():
    found = vim_util.get_inventory_path(session.vim, machine('bed-guest'))
    assert found.endswith('%s/vm/bed-guest' % datacenter_name), found


@case('a machine made, driven and destroyed', quick=True)
def life():
    ref = create('%s-life' % own)
    try:
        assert os.stat(on_datastore('%s-life' % own, '%s-life-flat.vmdk' % own)).st_size == 4 << 20
        do('PowerOnVM_Task', ref)
        assert runs(ref)
        fault = refused(exceptions.VimException, lambda: do('PowerOnVM_Task', ref))
        assert isinstance(fault, exceptions.InvalidPowerStateException), repr(fault)
        do('PowerOffVM_Task', ref)
        assert not runs(ref)
    finally:
        destroy(ref)
    assert not os.path.exists(on_datastore('%s-life' % own))


@case('a second machine of one name')
def duplicate():
    ref = create('%s-twice' % own)
    try:
        fault = refused(exceptions.VimException, lambda: create('%s-twice' % own))
        assert isinstance(fault, exceptions.DuplicateName), repr(fault)
    finally:
        destroy(ref)


@case('a snapshot, as for a volume')
def snapshot():
    ref = create('%s-snapshot' % own)
    try:
        taken = do('CreateSnapshot_Task', ref, name='first', description='', memory=False, quiesce=False).result
        assert os.path.exists(on_datastore('%s-snapshot' % own, '%s-snapshot-000001.vmdk' % own))
        do('RemoveSnapshot_Task', taken, removeChildren=False)
        assert not os.path.exists(on_datastore('%s-snapshot' % own, '%s-snapshot-000001.vmdk' % own))
    finally:
        destroy(ref)


@case('a file written and read, as an image', quick=True)
def file():
    cookies = session.vim.client.cookiejar
    body = os.urandom(300_000)
    os.makedirs(on_datastore(own), exist_ok=True)
    writer = rw_handles.FileWriteHandle(address, port, datacenter_name, 'datastore1', cookies, own + '/image.iso', len(body))
    writer.write(body)
    writer.close()
    with open(on_datastore(own, 'image.iso'), 'rb') as there:
        assert there.read() == body
    reader = rw_handles.FileReadHandle(address, port, datacenter_name, 'datastore1', cookies, own + '/image.iso')
    read = b''
    while len(read) < len(body):
        piece = reader.read(65536)
        assert piece, len(read)
        read += piece
    reader.close()
    assert read == body


@case('a disk read as a stream, and a machine made of it')
def stream():
    ref = create('%s-stream' % own)
    try:
        reader = rw_handles.VmdkReadHandle(session, address, port, ref, None, 4 << 20)
        packed = b''
        while True:
            piece = reader.read(65536)
            if not piece:
                break
            packed += piece
        reader.close()
        assert packed[:4] == b'KDMV', packed[:16]
    finally:
        destroy(ref)
    spec = make('ns0:VirtualMachineImportSpec')
    spec.configSpec = spec_of('%s-made' % own)
    folder = next(ref for ref, values in objects('Folder', 'name') if values['name'] == 'vm')
    pool = next(ref for ref, values in objects('ResourcePool', 'name') if values['name'] == 'Resources')
    writer = rw_handles.VmdkWriteHandle(session, address, port, pool, folder, spec, len(packed))
    writer.write(packed)
    writer.close()
    made = writer.get_imported_vm()
    try:
        assert os.stat(on_datastore('%s-made' % own, '%s-made-flat.vmdk' % own)).st_size == 4 << 20
        do('PowerOnVM_Task', made)
        assert runs(made)
    finally:
        destroy(made)


@case('a session that ended is opened again')
def again():
    # As when the server has forgotten it: the driver signs in anew, and goes on.
    session.vim.client.service.Logout(session.vim.service_content.sessionManager)
    assert runs(machine('bed-guest'))


@case('signed out', quick=True)
def signed_out():
    other = signed_in()
    assert other.is_current_session_active() if at_center else True
    other.logout()


run_cases()
session.logout()
