"""Hardware changed by scripts (add_disk_to_vm.py, change_vm_nic_state.py, change_vm_cd_backend.py …)."""
import os
import subprocess

from pyVmomi import vim

from cases import case, on_datastore, refused
from engine import until
from face import (added, devices, disk, edited, engine_of, guest, guest_ready, has_line, inside, machine_of, nic, own,
                  reconfigure, scsi, size_of, vmx, wait)

Disk = vim.vm.device.VirtualDisk
Card = vim.vm.device.VirtualEthernetCard
Cdrom = vim.vm.device.VirtualCdrom


def removed(device, destroy=False):
    spec = vim.vm.device.VirtualDeviceSpec(operation='remove', device=device)
    if destroy:
        spec.fileOperation = 'destroy'
    return spec


def block_of(engine, path):
    """The drive of an engine whose image is a file."""
    return [each for each in engine.monitor('query-block')
            if path in (each.get('inserted') or {}).get('file', '') or path in str(each.get('inserted'))]


@case('a disk added, thin', quick=True)
def disk_added():
    with machine_of('thin') as machine:
        reconfigure(machine, disk(8, 1000, 1))
        found = os.stat(on_datastore(machine.name, machine.name + '_1-flat.vmdk'))
        assert found.st_size == 8 << 20 and found.st_blocks * 512 < 1 << 20, found


@case('a disk added, thick')
def disk_thick():
    with machine_of('eager') as machine:
        reconfigure(machine, disk(4, 1000, 1, thinProvisioned=False, eagerlyScrub=True))
        found = os.stat(on_datastore(machine.name, machine.name + '_1-flat.vmdk'))
        assert found.st_blocks * 512 >= 4 << 20, found


@case('a disk plugged, grown and unplugged while it runs', quick=True)
def disk_hot():
    with machine_of('hot', on=True) as machine:
        pid = engine_of(machine).pid
        reconfigure(machine, disk(8, 1000, 3))
        flat = on_datastore(machine.name, machine.name + '_1-flat.vmdk')
        assert flat in engine_of(machine).files(), engine_of(machine).files()
        new = next(each for each in devices(machine, Disk) if each.unitNumber == 3)
        new.capacityInKB = 16 * 1024
        new.capacityInBytes = None
        reconfigure(machine, edited(new))
        assert size_of(flat) == 16 << 20
        reconfigure(machine, removed(new, destroy=True))
        engine = engine_of(machine)
        assert flat not in engine.files() and not os.path.exists(flat) and engine.pid == pid


@case('a disk removed, its file kept')
def disk_kept():
    with machine_of('kept') as machine:
        reconfigure(machine, removed(devices(machine, Disk)[0]))
        assert devices(machine, Disk) == []
        flat = on_datastore(machine.name, machine.name + '-flat.vmdk')
        assert os.path.exists(flat)
        backing = Disk.FlatVer2BackingInfo(fileName='[datastore1] %s/%s.vmdk' % (machine.name, machine.name),
                                           diskMode='persistent')
        reconfigure(machine, added(Disk(key=-1, controllerKey=1000, unitNumber=0, backing=backing)))
        wait(machine.PowerOnVM_Task())
        assert flat in engine_of(machine).files()


@case('a disk that forgets')
def disk_nonpersistent():
    with machine_of('forgets', devices=[scsi(), disk(4, diskMode='independent_nonpersistent')], on=True) as machine:
        engine_of(machine).disk_io('write -P 85 0 65536', 'read -P 85 0 65536', 'flush')
        wait(machine.PowerOffVM_Task())
        with open(on_datastore(machine.name, machine.name + '-flat.vmdk'), 'rb') as file:
            assert file.read(65536) == bytes(65536)


@case('controllers of every kind')
def controllers():
    kinds = [vim.vm.device.VirtualLsiLogicController, vim.vm.device.VirtualLsiLogicSASController,
             vim.vm.device.ParaVirtualSCSIController]
    changes = [added(kind(key=-1 - bus, busNumber=bus, sharedBus='noSharing')) for bus, kind in enumerate(kinds)]
    changes += [disk(4, -1 - bus, bus) for bus in range(len(kinds))]
    changes.append(added(vim.vm.device.VirtualAHCIController(key=-10, busNumber=0)))
    with machine_of('controllers', devices=changes, on=True) as machine:
        engine = engine_of(machine)
        for part in ['lsi53c895a', 'mptsas1068', 'pvscsi', 'ahci']:
            assert engine.has(part), part
        assert len(devices(machine, Disk)) == 3


@case('a card added, and another kind')
def cards():
    with machine_of('cards', devices=[nic(vim.vm.device.VirtualVmxnet3)]) as machine:
        reconfigure(machine, nic(vim.vm.device.VirtualE1000e, addressType='manual', macAddress='00:50:56:0a:0b:0c'))
        wait(machine.PowerOnVM_Task())
        engine = engine_of(machine)
        assert engine.has('00:50:56:0a:0b:0c') and engine.has('vmxnet3') and engine.has('e1000e')


@case('a card plugged and unplugged while the guest runs')
def card_hot():
    guest_ready()
    look = "cat /sys/bus/pci/devices/*/device | grep -c 0x10d3 || true"
    with inside() as shell:
        before = int(shell.run(look))
        reconfigure(guest, nic(vim.vm.device.VirtualE1000e))
        until(lambda: int(shell.run(look)) == before + 1, 'the guest sees its card', 120)
        reconfigure(guest, removed(devices(guest, vim.vm.device.VirtualE1000e)[0]))
        until(lambda: int(shell.run(look)) == before, 'the guest sees it no more', 120)


@case('a card whose cable is pulled')
def card_state():
    with machine_of('cable', devices=[nic()], on=True) as machine:
        card = devices(machine, Card)[0]
        card.connectable.connected = False
        reconfigure(machine, edited(card))
        card = devices(machine, Card)[0]
        assert not card.connectable.connected and card.connectable.startConnected, card
        assert engine_of(machine).has(card.macAddress)


@case('a disc inserted and taken out', quick=True)
def disc():
    guest_ready()
    name = 'disc-%s.iso' % own
    path = on_datastore(name)
    label = own.upper().replace('-', '_')
    subprocess.run(['xorriso', '-as', 'mkisofs', '-quiet', '-V', label, '-o', path, '/etc/hostname'], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    drives = devices(guest, Cdrom)
    assert drives, 'the guest has a drive'
    drive = drives[0]
    drive.backing = Cdrom.IsoBackingInfo(fileName='[datastore1] ' + name)
    drive.connectable.connected = True
    drive.connectable.startConnected = False
    reconfigure(guest, edited(drive))
    # The label is at byte 40 of sector 16; a drive whose disc was changed says so to the first who asks, as an error.
    look = 'head -c %d /dev/sr0 2>/dev/null | tail -c %d' % (16 * 2048 + 40 + len(label), len(label))
    with inside() as shell:
        until(lambda: shell.run(look) == label, 'the label of the disc', 60)
    drive = devices(guest, Cdrom)[0]
    drive.backing = Cdrom.RemotePassthroughBackingInfo(deviceName='', exclusive=False)
    drive.connectable.connected = False
    reconfigure(guest, edited(drive))
    assert path not in engine_of(guest).files()
    os.unlink(path)


@case('processors and memory')
def processors():
    with machine_of('processors') as machine:
        reconfigure(machine, memoryMB=96, numCPUs=4, numCoresPerSocket=2)
        has_line(machine, 'memSize = "96"')
        wait(machine.PowerOnVM_Task())
        engine = engine_of(machine)
        assert abs(engine.memory_kib - 96 * 1024) <= 256
        topology = [each['props'] for each in engine.monitor('query-cpus-fast')]
        assert len(topology) == 4 and {each['socket-id'] for each in topology} == {0, 1}, topology


@case('processors plugged while it runs')
def processors_hot():
    with machine_of('hotcpu', cpuHotAddEnabled=True) as machine:
        wait(machine.PowerOnVM_Task())
        before = len(engine_of(machine).monitor('query-cpus-fast'))
        reconfigure(machine, numCPUs=2)
        assert len(engine_of(machine).monitor('query-cpus-fast')) == before + 1


@case('memory plugged while it runs')
def memory_hot():
    with machine_of('hotmemory', memoryHotAddEnabled=True, memoryMB=128, on=True) as machine:
        reconfigure(machine, memoryMB=256)
        size = engine_of(machine).monitor('query-memory-size-summary')
        assert size['base-memory'] + size.get('plugged-memory', 0) > 255 << 20, size


@case('what is not plugged while it runs')
def not_hot():
    with machine_of('cold', on=True) as machine:
        refused(vim.fault.CpuHotPlugNotSupported, lambda: reconfigure(machine, numCPUs=4))
        refused(vim.fault.MemoryHotPlugNotSupported, lambda: reconfigure(machine, memoryMB=96))
        assert len(engine_of(machine).monitor('query-cpus-fast')) == 1


@case('firmware')
def firmware():
    with machine_of('firmware', firmware='efi', on=True) as machine:
        assert engine_of(machine).has('OVMF') or engine_of(machine).has('pflash'), engine_of(machine).arguments


@case('boot order')
def boot_order():
    with machine_of('boot', devices=[scsi(), disk(4), nic()]) as machine:
        card, own_disk = devices(machine, Card)[0], devices(machine, Disk)[0]
        order = [vim.vm.BootOptions.BootableEthernetDevice(deviceKey=card.key),
                 vim.vm.BootOptions.BootableDiskDevice(deviceKey=own_disk.key)]
        reconfigure(machine, bootOptions=vim.vm.BootOptions(bootDelay=1500, bootOrder=order))
        has_line(machine, 'bios.bootDelay = "1500"')
        wait(machine.PowerOnVM_Task())
        card, indexed = devices(machine, Card)[0], {}
        for argument in engine_of(machine).arguments:
            if 'bootindex' in argument:
                place = int(argument.split('bootindex')[1].lstrip('":=').split(',')[0].rstrip('}'))
                indexed['card' if card.macAddress in argument else 'disk'] = place
        assert indexed['card'] < indexed['disk'], indexed


@case('a note, and settings of its own')
def note():
    with machine_of('note') as machine:
        reconfigure(machine, annotation='first line\nsecond: "quoted" | ünï',
                    extraConfig=[vim.option.OptionValue(key='guestinfo.role', value='web')])
        has_line(machine, 'guestinfo.role = "web"')
        assert machine.config.annotation == 'first line\nsecond: "quoted" | ünï', machine.config.annotation
        assert 'first line|0Asecond' in vmx(machine)
        reconfigure(machine, extraConfig=[vim.option.OptionValue(key='guestinfo.role', value='')])
        assert 'guestinfo.role' not in vmx(machine)


@case('a serial port to a file')
def serial_port():
    port = vim.vm.device.VirtualSerialPort(
        key=-5, yieldOnPoll=True,
        backing=vim.vm.device.VirtualSerialPort.FileBackingInfo(fileName='[datastore1] %s-serial/out.log' % own))
    with machine_of('serial', devices=[added(port)], on=True) as machine:
        assert engine_of(machine).has('out.log'), engine_of(machine).arguments
        assert os.path.exists(on_datastore(machine.name, 'out.log'))


@case('renamed')
def renamed():
    with machine_of('renamed') as machine:
        wait(machine.Rename_Task('%s another name' % own))
        has_line(machine, 'displayName = "%s another name"' % own)
        wait(machine.PowerOnVM_Task())
        assert engine_of(machine) is not None
