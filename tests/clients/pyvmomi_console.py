"""The screen and the keyboard of a real guest, as clients that build images use them; effects are looked at inside."""
import base64
import os
import socket
import ssl
import struct
import urllib.error
import urllib.request
import zlib

from pyVmomi import vim, vmodl

from host import Guest, address, datastore_folder, only_engine, password, port, sign_in, step, until, user, wait

service = sign_in()
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
compute = datacenter.hostFolder.childEntity[0]
machine = next((m for m in datacenter.vmFolder.childEntity if m.name == 'guest'), None)
if machine is None:
    machine = wait(service, datacenter.vmFolder.RegisterVM_Task(
        path='[datastore1] guest/guest.vmx', name=None, asTemplate=False, pool=compute.resourcePool,
        host=compute.host[0] if content.about.apiType == 'VirtualCenter' else None))
unsafe = ssl._create_unverified_context()
ScanCodes = vim.UsbScanCodeSpec


def screen(query, credentials=(user, password)):
    request = urllib.request.Request('https://%s:%d/screen?%s' % (address, port, query))
    if credentials is not None:
        token = base64.b64encode(('%s:%s' % credentials).encode()).decode()
        request.add_header('Authorization', 'Basic ' + token)
    with urllib.request.urlopen(request, context=unsafe) as answer:
        assert answer.headers['content-type'] == 'image/png'
        return picture(answer.read())


def refused(status, query, credentials=(user, password)):
    try:
        screen(query, credentials)
    except urllib.error.HTTPError as error:
        assert error.code == status, error
        return
    raise SystemExit('%s was answered' % query)


def picture(png):
    """Width, height and rows of a PNG."""
    assert png[:8] == b'\x89PNG\r\n\x1a\n'
    width, height = struct.unpack('>II', png[16:24])
    at, data = 8, b''
    while at < len(png):
        length, kind = struct.unpack('>I4s', png[at:at + 8])
        assert zlib.crc32(png[at + 4:at + 8 + length]) == struct.unpack('>I', png[at + 8 + length:at + 12 + length])[0]
        if kind == b'IDAT':
            data += png[at + 8:at + 8 + length]
        at += 12 + length
    rows = zlib.decompress(data)
    assert len(rows) == (width * 3 + 1) * height
    return width, height, rows


keys = {' ': 0x2c, '\n': 0x28, '-': 0x2d, '=': 0x2e, ';': 0x33, '.': 0x37, '/': 0x38}
keys.update({chr(ord('a') + i): 4 + i for i in range(26)})
keys.update({c: 0x1e + i for i, c in enumerate('1234567890')})
shifted = {'>': '.', '_': '-', '"': "'", '!': '1', '$': '4', ':': ';'}


def typed(text):
    events = []
    for character in text:
        plain = shifted.get(character, character.lower())
        event = ScanCodes.KeyEvent(usbHidCode=keys[plain] << 16 | 7)
        if plain != character:
            event.modifiers = ScanCodes.ModifierType(leftShift=True)
        events.append(event)
    return ScanCodes(keyEvents=events)


if machine.runtime.powerState != 'poweredOn':
    refused(409, 'id=' + machine._moId)
    try:
        wait(service, machine.CreateScreenshot_Task())
        raise SystemExit('a picture of a machine that is off')
    except vim.fault.InvalidPowerState:
        pass
    try:
        machine.PutUsbScanCodes(typed('a'))
        raise SystemExit('keys of a machine that is off')
    except vmodl.fault.NotSupported:
        pass
    wait(service, machine.PowerOnVM_Task())
until(lambda: machine.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen', 120)
guest = Guest(only_engine().serial_socket)
step('ready')

line = 'echo Typed > /tmp/by_keys; clear\n'
assert machine.PutUsbScanCodes(typed(line)) == len(line)
until(lambda: guest.run('cat /tmp/by_keys 2>/dev/null || true') == 'Typed', 'what was typed arrives')
for wrong in [4, 0x040008]:
    try:
        machine.PutUsbScanCodes(ScanCodes(keyEvents=[ScanCodes.KeyEvent(usbHidCode=wrong)]))
        raise SystemExit('%d was taken for a key' % wrong)
    except vmodl.fault.InvalidArgument:
        pass
step('keys')

before = screen('id=%s' % machine._moId)
guest.run('printf "\\033[41m\\033[2J\\033[H" >/dev/tty1')
until(lambda: screen('id=%s' % machine._moId) != before, 'the screen changes')
width, height, rows = screen('id=%s' % machine._moId)
assert width >= 320 and height >= 200
middle = (height // 2) * (width * 3 + 1) + 1 + (width // 2) * 3
red, green, blue = rows[middle:middle + 3]
assert red > 100 and green < 60 and blue < 60, (red, green, blue)
assert screen('id=%s&w=160&h=120' % machine._moId)[:2] == (160, 120)
assert screen('id=%s&w=%d' % (machine._moId, width // 2))[1] == -(-height * (width // 2) // width)
refused(401, 'id=' + machine._moId, None)
refused(404, 'id=nothing')
refused(400, 'id=%s&w=100000' % machine._moId)
names = [wait(service, machine.CreateScreenshot_Task()) for _ in range(2)]
assert names == ['[datastore1] guest/guest-0.png', '[datastore1] guest/guest-1.png'], names
with open(os.path.join(datastore_folder, 'guest', 'guest-1.png'), 'rb') as file:
    assert picture(file.read())[:2] == (width, height)
assert any(f.name == names[0] for f in machine.layoutEx.file)
step('screen')


def console(path):
    """A WebSocket's first message from the server."""
    connection = unsafe.wrap_socket(socket.create_connection((address, port)))
    connection.sendall(('GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
                        'Sec-WebSocket-Protocol: binary\r\n\r\n' % path).encode())
    data = b''
    while b'\r\n\r\n' not in data or (data.startswith(b'HTTP/1.1 101') and len(data.split(b'\r\n\r\n', 1)[1]) < 14):
        more = connection.recv(4096)
        if not more:
            break
        data += more
    connection.close()
    head, _, body = data.partition(b'\r\n\r\n')
    return head.split(b' ')[1], body


ticket = machine.AcquireTicket('webmks')
assert ticket.cfgFile.endswith('guest.vmx') and len(ticket.ticket) >= 32
status, body = console('/ticket/' + ticket.ticket)
assert status == b'101' and body[2:] == b'RFB 003.008\n', (status, body)
assert console('/ticket/' + ticket.ticket)[0] == b'403'
try:
    machine.AcquireMksTicket()
    raise SystemExit('a ticket of a protocol that nobody speaks')
except vmodl.fault.NotSupported:
    pass
step('webmks')

machine.SendNMI()
until(lambda: 'NMI' in guest.run('dmesg | grep NMI || true'), 'the interrupt arrives')
for refusal in (lambda: machine.SetScreenResolution(800, 600),):
    try:
        refusal()
        raise SystemExit('the screen was set')
    except vim.fault.ToolsUnavailable:
        pass
step('interrupt')

info = machine.guest
assert info.guestFullName == 'Hypostyle test guest' and info.toolsStatus == 'toolsOk', info
assert machine.guestHeartbeatStatus == 'green'
assert any(d.diskPath for d in info.disk or []) or info.disk == [], info.disk
assert info.ipStack and info.ipStack[0].ipRouteConfig is not None, info.ipStack
step('what the guest tells')
