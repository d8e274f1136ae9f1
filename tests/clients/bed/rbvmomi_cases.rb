# The cases of rbvmomi: what it did is looked at in the engine and in the files. Tells each outcome as a line of JSON.
require 'rbvmomi'
require_relative '../rbvmomi_checks'
require 'fileutils'
require 'json'
require 'socket'
require 'uri'

VIM = RbVmomi::VIM
AT_CENTER = ENV['BED_ENDPOINT'] == 'center'
QUICK = ENV['BED_QUICK'] == '1'
OWN = "rbvmomi-#{ENV['BED_ENDPOINT']}"
CASES = []

def define(name, at: %w[host center], quick: false, &body)
  here = at.include?(ENV['BED_ENDPOINT']) && name.include?(ENV['BED_CASE'].to_s)
  CASES << [name, body] if here && (quick || !QUICK)
end

def engine_of(machine)
  uuid = machine.config.uuid
  engines.find { |line| line.include?(uuid) }
end

def option(engine, name)
  engine[engine.index(name) + 1]
end

# A command of QMP to the second monitor of an engine.
def monitor(engine, command, arguments = {})
  path = engine.find { |argument| argument.include?('/rescue-') }[/(?:path=|unix:)([^,]+)/, 1]
  UNIXSocket.open(path) do |socket|
    [{ execute: 'qmp_capabilities' }, { execute: command, arguments: arguments }].map do |each|
      socket.puts(each.to_json)
      loop do
        answer = JSON.parse(socket.gets)
        raise answer['error'].to_s if answer['error']
        break answer['return'] if answer.key?('return')
      end
    end.last
  end
end

def on_datastore(*path)
  File.join(ENV['SERVER_DATASTORE'], *path)
end

def connect(password = ENV['SERVER_PASSWORD'])
  VIM.connect(host: ENV['SERVER_HOST'], port: ENV['SERVER_PORT'].to_i, path: '/sdk', ssl: true, insecure: true,
              user: ENV['SERVER_USER'], password: password)
end

def disk_spec(kilobytes, unit, key = -1, controller = 1000)
  VIM.VirtualDeviceConfigSpec(
    operation: :add, fileOperation: :create,
    device: VIM.VirtualDisk(
      key: key, controllerKey: controller, unitNumber: unit, capacityInKB: kilobytes,
      backing: VIM.VirtualDiskFlatVer2BackingInfo(fileName: '', diskMode: :persistent, thinProvisioned: true)
    )
  )
end

$vim = connect
$content = $vim.serviceContent
$datacenter = $vim.serviceInstance.find_datacenter
$compute = $datacenter.hostFolder.childEntity.grep(VIM::ComputeResource).first
$host = $compute.host.first
$pool = $compute.resourcePool

def create(name, **members)
  spec = VIM.VirtualMachineConfigSpec({
    name: name, memoryMB: 64, numCPUs: 1, guestId: 'otherLinux64Guest',
    files: VIM.VirtualMachineFileInfo(vmPathName: '[datastore1]'),
    deviceChange: [
      VIM.VirtualDeviceConfigSpec(
        operation: :add, device: VIM.ParaVirtualSCSIController(key: 1000, busNumber: 0, sharedBus: :noSharing)
      ),
      disk_spec(4096, 0)
    ]
  }.merge(members))
  $datacenter.vmFolder.CreateVM_Task(config: spec, pool: $pool, host: $host).wait_for_completion
end

def destroy(machine)
  machine.PowerOffVM_Task.wait_for_completion unless machine.runtime.powerState == 'poweredOff'
  machine.Destroy_Task.wait_for_completion
end

# A machine for one case.
def machine_of(name, **members)
  machine = create("#{OWN}-#{name}", **members)
  begin
    yield machine
  ensure
    destroy(machine)
  end
end

def vmx(machine)
  File.read(on_datastore(machine.config.files.vmPathName.split('] ')[1]))
end

define('a wrong password', quick: true) do
  fault_of('InvalidLogin') { connect('not the password') }
end

define('about') do
  check($content.about.apiType == (AT_CENTER ? 'VirtualCenter' : 'HostAgent'), $content.about.apiType)
  check(($vim.serviceInstance.CurrentTime - Time.now).abs < 60, 'the clock')
end

define('the inventory by names', quick: true) do
  check($datacenter.find_datastore('datastore1').summary.accessible, 'the datastore')
  check($datacenter.network.map(&:name) == ['VM Network'], 'the network')
  guest = $datacenter.find_vm('bed-guest')
  check(engine_of(guest), 'an engine of the UUID that it tells')
end

define('hardware of the host') do
  kib = File.read('/proc/meminfo')[/MemTotal: +(\d+)/, 1].to_i
  check(($host.hardware.memorySize - kib * 1024).abs < 2**20, $host.hardware.memorySize)
end

define('properties of many machines') do
  machines = $datacenter.vmFolder.childEntity.grep(VIM::VirtualMachine)
  found = $content.propertyCollector.collectMultiple(machines, 'name', 'runtime.powerState', 'config.uuid')
  running = engines.map { |line| option(line, '-uuid') }
  found.each_value do |values|
    runs = running.include?(values['config.uuid'])
    check((values['runtime.powerState'] == 'poweredOn') == runs, values.inspect)
  end
end

define('a view of machines') do
  view = $content.viewManager.CreateContainerView(container: $content.rootFolder, type: ['VirtualMachine'], recursive: true)
  machine_of('viewed') { |machine| check(view.view.include?(machine), 'the new one') }
  view.DestroyView
end

define('found by UUID') do
  guest = $datacenter.find_vm('bed-guest')
  uuid = option(engine_of(guest), '-uuid')
  found = $content.searchIndex.FindByUuid(uuid: uuid, vmSearch: true, instanceUuid: false)
  check(found == guest, found.inspect)
end

define('made with a disk', quick: true) do
  machine_of('made', memoryMB: 80) do |machine|
    check(File.size(on_datastore(machine.name, "#{machine.name}-flat.vmdk")) == 4096 * 1024, 'the disk')
    check(machine.disks.map(&:capacityInKB) == [4096], 'disks')
    machine.PowerOnVM_Task.wait_for_completion
    memory = option(engine_of(machine), '-m')
    check((memory.to_i - 80 * 1024).abs <= 256, memory)
  end
  check(!File.exist?(on_datastore("#{OWN}-made")), 'nothing is left')
end

define('a second machine of one name') do
  machine_of('twice') { |machine| fault_of('DuplicateName') { create(machine.name) } }
end

define('powered on and off', quick: true) do
  machine_of('power') do |machine|
    machine.PowerOnVM_Task.wait_for_completion
    check(engine_of(machine), 'an engine')
    fault = fault_of('InvalidPowerState') { machine.PowerOnVM_Task.wait_for_completion }
    check(fault.existingState == 'poweredOn', fault.existingState)
    machine.PowerOffVM_Task.wait_for_completion
    check(engine_of(machine).nil?, 'no engine')
  end
end

define('reset') do
  machine_of('reset') do |machine|
    machine.PowerOnVM_Task.wait_for_completion
    machine.ResetVM_Task.wait_for_completion
    check(engine_of(machine) && machine.runtime.powerState == 'poweredOn', 'it runs')
  end
end

define('suspended and resumed') do
  machine_of('suspend') do |machine|
    machine.PowerOnVM_Task.wait_for_completion
    machine.SuspendVM_Task.wait_for_completion
    check(machine.runtime.powerState == 'suspended' && engine_of(machine).nil?, 'suspended')
    machine.PowerOnVM_Task.wait_for_completion
    check(engine_of(machine), 'an engine')
  end
end

define('reconfigured') do
  machine_of('changed') do |machine|
    machine.ReconfigVM_Task(spec: VIM.VirtualMachineConfigSpec(memoryMB: 96, annotation: 'by ruby')).wait_for_completion
    check(vmx(machine) =~ /^memSize = "96"$/ && vmx(machine) =~ /^annotation = "by ruby"$/, 'the .vmx')
    machine.PowerOnVM_Task.wait_for_completion
    check((option(engine_of(machine), '-m').to_i - 96 * 1024).abs <= 256, 'the engine')
  end
end

define('a disk plugged while it runs') do
  machine_of('plugged') do |machine|
    machine.PowerOnVM_Task.wait_for_completion
    spec = VIM.VirtualMachineConfigSpec(deviceChange: [disk_spec(8192, 1)])
    machine.ReconfigVM_Task(spec: spec).wait_for_completion
    flat = on_datastore(machine.name, "#{machine.name}_1-flat.vmdk")
    check(File.size(flat) == 8192 * 1024, 'its file')
    drives = monitor(engine_of(machine), 'query-block').to_json
    check(drives.include?("#{machine.name}_1-flat.vmdk"), "the engine's drive: #{drives}")
  end
end

define('a card added') do
  machine_of('card') do |machine|
    machine.ReconfigVM_Task(spec: VIM.VirtualMachineConfigSpec(deviceChange: [VIM.VirtualDeviceConfigSpec(
      operation: :add,
      device: VIM.VirtualE1000(
        key: -1, addressType: 'manual', macAddress: '00:50:56:0d:0e:0f',
        backing: VIM.VirtualEthernetCardNetworkBackingInfo(deviceName: 'VM Network')
      )
    )])).wait_for_completion
    machine.PowerOnVM_Task.wait_for_completion
    check(engine_of(machine).any? { |argument| argument.include?('00:50:56:0d:0e:0f') }, 'the address')
  end
end

define('a snapshot taken, reverted and removed', quick: true) do
  machine_of('snapshot', annotation: 'one') do |machine|
    machine.CreateSnapshot_Task(name: 'first', description: '', memory: false, quiesce: false).wait_for_completion
    check(File.exist?(on_datastore(machine.name, "#{machine.name}-000001.vmdk")), 'a delta')
    machine.ReconfigVM_Task(spec: VIM.VirtualMachineConfigSpec(annotation: 'two')).wait_for_completion
    machine.snapshot.rootSnapshotList.first.snapshot.RevertToSnapshot_Task.wait_for_completion
    check(vmx(machine) =~ /^annotation = "one"$/, 'the old annotation')
    machine.RemoveAllSnapshots_Task.wait_for_completion
    left = Dir.children(on_datastore(machine.name)).grep(/-00000\d/)
    check(machine.snapshot.nil? && left.empty?, left.inspect)
  end
end

define('moved to another datastore while it runs') do
  folder = "#{ENV['SERVER_HOME']}/second-#{OWN}"
  Dir.mkdir(folder)
  system = $host.configManager.datastoreSystem
  second = system.CreateLocalDatastore(name: "second-#{OWN}", path: folder)
  machine_of('moving') do |machine|
    machine.PowerOnVM_Task.wait_for_completion
    name = machine.name
    machine.RelocateVM_Task(spec: VIM.VirtualMachineRelocateSpec(datastore: second)).wait_for_completion
    drives = monitor(engine_of(machine), 'query-block').to_json
    check(drives.include?("#{folder}/#{name}/#{name}-flat.vmdk"), "the engine's drive: #{drives}")
    check(!File.exist?(on_datastore(name)), 'nothing is left')
    back = VIM.VirtualMachineRelocateSpec(datastore: $datacenter.find_datastore('datastore1'))
    machine.RelocateVM_Task(spec: back).wait_for_completion
    check(!File.exist?("#{folder}/#{name}") && engine_of(machine), 'it runs where it was')
  end
  system.RemoveDatastore(datastore: second)
  FileUtils.rm_r(folder)
end

define('renamed') do
  machine_of('renamed') do |machine|
    machine.Rename_Task(newName: "#{OWN} another name").wait_for_completion
    check(vmx(machine) =~ /^displayName = "#{OWN} another name"$/, 'the .vmx')
  end
end

define('followed by WaitForUpdatesEx') do
  machine_of('followed') do |machine|
    collector = $content.propertyCollector
    filter = VIM.PropertyFilterSpec(
      objectSet: [VIM.ObjectSpec(obj: machine)],
      propSet: [VIM.PropertySpec(type: 'VirtualMachine', pathSet: %w[runtime.powerState])]
    )
    watched = collector.CreateFilter(spec: filter, partialUpdates: false)
    version = collector.WaitForUpdatesEx(version: '').version
    task = machine.PowerOnVM_Task
    states = []
    until states.include?('poweredOn')
      update = collector.WaitForUpdatesEx(version: version, options: VIM.WaitOptions(maxWaitSeconds: 60))
      check(update, 'an update within a minute')
      version = update.version
      update.filterSet.each { |set| set.objectSet.each { |one| one.changeSet.each { |change| states << change.val } } }
    end
    task.wait_for_completion
    watched.DestroyPropertyFilter
    check(engine_of(machine), 'an engine')
  end
end

define('counters of the host') do
  stats = nil
  1200.times do
    stats = $content.perfManager.retrieve_stats([$host], ['mem.consumed'], instance: '', max_samples: 1)
    break unless stats[$host][:metrics].empty?
    sleep 0.1
  end
  check(stats[$host][:metrics]['mem.consumed'][0] > 100 * 1024, stats.inspect)
end

define('folders and pools', at: %w[center]) do
  folder = $datacenter.vmFolder.traverse!("ruby/of #{OWN}", VIM::Folder)
  check(folder.pretty_path == "Datacenter/vm/ruby/of #{OWN}", folder.pretty_path)
  machine_of('moved') do |machine|
    folder.MoveIntoFolder_Task(list: [machine]).wait_for_completion
    check($datacenter.find_vm("ruby/of #{OWN}/#{machine.name}") == machine, 'found by its path')
    $datacenter.vmFolder.MoveIntoFolder_Task(list: [machine]).wait_for_completion
  end
  $datacenter.vmFolder.traverse('ruby').Destroy_Task.wait_for_completion
  check($datacenter.vmFolder.traverse('ruby').nil?, 'no folder')
end

define('cloned', at: %w[center]) do
  machine_of('source') do |machine|
    spec = VIM.VirtualMachineCloneSpec(
      location: VIM.VirtualMachineRelocateSpec(pool: $pool), powerOn: true, template: false,
      config: VIM.VirtualMachineConfigSpec(memoryMB: 96)
    )
    copy = machine.CloneVM_Task(folder: $datacenter.vmFolder, name: "#{OWN}-copy", spec: spec).wait_for_completion
    begin
      check(copy.config.uuid != machine.config.uuid, 'a UUID of its own')
      check((option(engine_of(copy), '-m').to_i - 96 * 1024).abs <= 256, 'the engine')
      check(File.size(on_datastore(copy.name, "#{copy.name}-flat.vmdk")) == 4096 * 1024, 'its disk')
    ensure
      destroy(copy)
    end
  end
end

define('a stale reference') do
  stale = nil
  machine_of('stale') { |machine| stale = machine }
  fault_of('ManagedObjectNotFound') { stale.name }
end

$stdout.sync = true
puts({ plan: CASES.map(&:first) }.to_json)
CASES.each do |name, body|
  began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  outcome = { case: name, passed: true }
  begin
    body.call
  rescue StandardError => error
    place = (error.backtrace || []).grep(/rbvmomi_cases/).map { |line| line.sub(%r{.*/}, '') }
    outcome.merge!(passed: false, command: place.first, said: "#{error.class}: #{error.message}", expected: place[1..].join("\n"))
  end
  outcome[:seconds] = Process.clock_gettime(Process::CLOCK_MONOTONIC) - began
  puts outcome.to_json
end
$vim.close
