"""Registers a folder with a real guest, and drives it: suspend, resume, reset, shutdown, guest facts."""
import os

from pyVmomi import vim

import performance
from host import Guest, datastore_folder, engines, only_engine, sign_in, step, until, wait

service = sign_in()
content = service.RetrieveContent()
datacenter = content.rootFolder.childEntity[0]
pool = datacenter.hostFolder.childEntity[0].resourcePool

machine = wait(service, datacenter.vmFolder.RegisterVM_Task(
    path='[datastore1] guest/guest.vmx', name=None, asTemplate=False, pool=pool))
assert machine.name == 'guest'
try:
    machine.ShutdownGuest()
    raise SystemExit('a machine that is off was shut down')
except vim.fault.InvalidPowerState:
    pass
wait(service, machine.PowerOnVM_Task())
try:
    machine.RebootGuest()
    raise SystemExit('rebooted before the guest runs')
except vim.fault.ToolsUnavailable:
    pass
guest = Guest(only_engine().serial_socket)
uuid = guest.ready()
assert uuid == machine.config.uuid, (uuid, machine.config.uuid)
step('booted')

until(lambda: machine.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen')
until(lambda: machine.guest.hostName == 'test-guest', 'the host name is known: %s' % machine.guest)
assert machine.summary.guest.hostName == 'test-guest'
step('what the agent tells')
performance.check(service, machine, guest)

boot = guest.run('cat /proc/sys/kernel/random/boot_id')
secret = guest.run('head -c 1000000 /dev/urandom >/tmp/secret; sha256sum /tmp/secret')
guest.close()
pid = only_engine().pid
wait(service, machine.SuspendVM_Task())
assert machine.runtime.powerState == 'suspended' and machine.runtime.suspendTime is not None
until(lambda: engines() == [], 'the engine ends')
images = [name for name in os.listdir(os.path.join(datastore_folder, 'guest')) if name.endswith('.vmss')]
assert len(images) == 1, images
for refused in (machine.SuspendVM_Task, machine.ResetVM_Task):
    try:
        wait(service, refused())
        raise SystemExit('%s of a suspended machine' % refused)
    except vim.fault.InvalidPowerState as fault:
        assert fault.existingState == 'suspended', fault
step('suspended')

wait(service, machine.PowerOnVM_Task())
assert machine.runtime.powerState == 'poweredOn' and only_engine().pid != pid
guest = Guest(only_engine().serial_socket)
assert guest.run('cat /proc/sys/kernel/random/boot_id') == boot, 'the same boot'
assert guest.run('sha256sum /tmp/secret') == secret, 'the same memory'
assert not [name for name in os.listdir(os.path.join(datastore_folder, 'guest')) if name.endswith('.vmss')]
step('resumed')

pid = only_engine().pid
wait(service, machine.ResetVM_Task())
assert guest.ready() == uuid and only_engine().pid == pid
assert guest.run('cat /proc/sys/kernel/random/boot_id') != boot, 'another boot'
step('reset')

boot = guest.run('cat /proc/sys/kernel/random/boot_id')
until(lambda: machine.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen')
machine.RebootGuest()
assert guest.ready() == uuid and guest.run('cat /proc/sys/kernel/random/boot_id') != boot
assert machine.runtime.powerState == 'poweredOn'
step('rebooted by the agent')

until(lambda: machine.guest.toolsRunningStatus == 'guestToolsRunning', 'the agent is seen')
machine.ShutdownGuest()
until(lambda: machine.runtime.powerState == 'poweredOff', 'the guest shuts down')
until(lambda: engines() == [], 'the engine ends')
assert machine.runtime.bootTime is None and machine.runtime.cleanPowerOff
kinds = [type(event).__name__.split('.')[-1] for event in content.eventManager.QueryEvents(
    vim.event.EventFilterSpec(entity=vim.event.EventFilterSpec.ByEntity(entity=machine, recursion='self')))]
for kind in ['VmRegisteredEvent', 'VmPoweredOnEvent', 'VmSuspendedEvent', 'VmResettingEvent', 'VmGuestRebootEvent',
             'VmGuestShutdownEvent', 'VmPoweredOffEvent']:
    assert kind in kinds, kinds
step('shut down by the agent')

wait(service, machine.PowerOnVM_Task())
wait(service, machine.SuspendVM_Task())
wait(service, machine.PowerOffVM_Task())
assert machine.runtime.powerState == 'poweredOff'
assert not [name for name in os.listdir(os.path.join(datastore_folder, 'guest')) if name.endswith('.vmss')]
step('powered off while suspended')

machine.UnregisterVM()
assert os.path.exists(os.path.join(datastore_folder, 'guest', 'guest.vmx'))
assert not datacenter.vmFolder.childEntity or machine not in datacenter.vmFolder.childEntity
step('unregistered, folder kept')
