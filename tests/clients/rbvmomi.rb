# Reads with the property collector and views, and drives the power of a machine; looks at each effect.
require 'rbvmomi'
require 'json'

VIM = RbVmomi::VIM

def check(condition, message)
  raise message unless condition
end

def step(name)
  puts name
  $stdout.flush
end

def connect(password)
  VIM.connect(host: ENV['SERVER_HOST'], port: ENV['SERVER_PORT'].to_i, path: '/sdk', ssl: true, insecure: true,
              user: ENV['SERVER_USER'], password: password)
end

# Command lines of QEMU processes that hold a file of the host's home.
def engines
  Dir.glob('/proc/[0-9]*').map do |folder|
    begin
      line = File.read("#{folder}/cmdline").split("\0")
      next unless line.first.to_s.include?('qemu-system-')
      files = Dir.glob("#{folder}/fd/*").map { |name| File.readlink(name) rescue '' }
      line if files.any? { |name| name.start_with?("#{ENV['SERVER_HOME']}/") }
    rescue Errno::ENOENT, Errno::ESRCH
      nil
    end
  end.compact
end

def fault_of(name)
  yield
  raise "no #{name}"
rescue RbVmomi::Fault => error
  check(error.fault.class.wsdl_name == name, "#{error.fault.class.wsdl_name} instead of #{name}: #{error.message}")
  error.fault
end

fault_of('InvalidLogin') { connect('not the password') }
step 'wrong password: InvalidLogin'

vim = connect(ENV['SERVER_PASSWORD'])
content = vim.serviceContent
check(content.about.apiType == 'HostAgent', content.about.apiType)
check(content.sessionManager.currentSession.userName == 'root', 'session')
check((vim.serviceInstance.CurrentTime - Time.now).abs < 5, 'the clock')
step 'signed in'

datacenter = vim.serviceInstance.find_datacenter
check(datacenter.name == 'ha-datacenter', datacenter.name)
datastore = datacenter.find_datastore('datastore1')
check(datastore.summary.accessible && datastore.summary.freeSpace > 0, 'datastore')
host = datacenter.hostFolder.children.first.host.first
check(host.hardware.memorySize > 2**29 && host.runtime.connectionState == 'connected', 'host')
check(datacenter.network.map(&:name) == ['VM Network'], 'network')
step 'read the inventory'

spec = VIM.VirtualMachineConfigSpec(
  name: 'from ruby', memoryMB: 80, numCPUs: 1, guestId: 'otherLinux64Guest',
  files: VIM.VirtualMachineFileInfo(vmPathName: '[datastore1]'),
  deviceChange: [
    VIM.VirtualDeviceConfigSpec(
      operation: :add,
      device: VIM.ParaVirtualSCSIController(key: 1000, busNumber: 0, sharedBus: :noSharing)
    ),
    VIM.VirtualDeviceConfigSpec(
      operation: :add, fileOperation: :create,
      device: VIM.VirtualDisk(
        key: -1, controllerKey: 1000, unitNumber: 0, capacityInKB: 4096,
        backing: VIM.VirtualDiskFlatVer2BackingInfo(fileName: '[datastore1]', diskMode: :persistent, thinProvisioned: true)
      )
    )
  ]
)
pool = datacenter.hostFolder.children.first.resourcePool
machine = datacenter.vmFolder.CreateVM_Task(config: spec, pool: pool).wait_for_completion
folder = File.join(ENV['SERVER_DATASTORE'], 'from ruby')
check(File.size(File.join(folder, 'from ruby-flat.vmdk')) == 4096 * 1024, 'the disk')
check(datacenter.find_vm('from ruby') == machine, 'found by name')
check(machine.disks.map(&:capacityInKB) == [4096], 'disks')
check(machine.config.hardware.memoryMB == 80, 'memory')
step 'created a machine'

view = content.viewManager.CreateContainerView(container: content.rootFolder, type: ['VirtualMachine'], recursive: true)
check(view.view == [machine], 'the view')
collector = content.propertyCollector
filter = VIM.PropertyFilterSpec(
  objectSet: [VIM.ObjectSpec(
    obj: view, skip: true,
    selectSet: [VIM.TraversalSpec(name: 'view', type: 'ContainerView', path: 'view', skip: false)]
  )],
  propSet: [VIM.PropertySpec(type: 'VirtualMachine', pathSet: %w[name runtime.powerState summary.config.vmPathName])]
)
read = collector.RetrieveProperties(specSet: [filter])
check(read.length == 1 && read[0].to_hash == {
        'name' => 'from ruby', 'runtime.powerState' => 'poweredOff',
        'summary.config.vmPathName' => '[datastore1] from ruby/from ruby.vmx'
      }, read.map(&:to_hash).inspect)
collected = machine.collect('name', 'config.hardware.numCPU', 'runtime.powerState')
check(collected == ['from ruby', 1, 'poweredOff'], collected.inspect)
step 'property collector and view'

watched = collector.CreateFilter(spec: filter, partialUpdates: true)
version = ''
update = collector.WaitForUpdatesEx(version: version)
version = update.version
task = machine.PowerOnVM_Task
states = []
until states.include?('poweredOn')
  update = collector.WaitForUpdatesEx(version: version, options: VIM.WaitOptions(maxWaitSeconds: 20))
  check(update, 'no update of a power-on within 20 s')
  version = update.version
  update.filterSet.each do |set|
    set.objectSet.each { |object| object.changeSet.each { |change| states << change.val } }
  end
end
task.wait_for_completion
watched.DestroyPropertyFilter
running = engines
check(running.length == 1, "#{running.length} engines")
memory = running[0][running[0].index('-m') + 1]
check((memory.to_i - 80 * 1024).abs <= 256 && memory.end_with?('K'), memory)
check(machine.runtime.powerState == 'poweredOn' && machine.runtime.bootTime, 'power state')
step 'powered on'

fault = fault_of('InvalidPowerState') { machine.PowerOnVM_Task.wait_for_completion }
check(fault.existingState == 'poweredOn', fault.existingState)
step 'again: InvalidPowerState'

machine.ResetVM_Task.wait_for_completion
machine.SuspendVM_Task.wait_for_completion
check(machine.runtime.powerState == 'suspended' && engines.empty?, 'suspended')
machine.PowerOnVM_Task.wait_for_completion
check(machine.runtime.powerState == 'poweredOn' && engines.length == 1, 'resumed')
machine.PowerOffVM_Task.wait_for_completion
check(machine.runtime.powerState == 'poweredOff' && engines.empty?, 'powered off')
step 'reset, suspended, resumed, powered off'

stats = nil
400.times do
  stats = content.perfManager.retrieve_stats([host], ['cpu.usagemhz', 'mem.consumed'], instance: '', max_samples: 1)
  break unless stats[host][:metrics].empty?
  sleep 0.1
end
check(stats[host][:metrics].keys.sort == ['cpu.usagemhz', 'mem.consumed'], stats.inspect)
check(stats[host][:metrics]['mem.consumed'][0] > 100 * 1024, stats.inspect)
check(content.perfManager.active_intervals[1].length == 4, 'intervals')
step 'counters of the host'

machine.Destroy_Task.wait_for_completion
check(!File.exist?(folder), 'the folder is there')
check(datacenter.find_vm('from ruby').nil?, 'the machine is there')
fault_of('ManagedObjectNotFound') { machine.name }
vim.close
step 'destroyed'
