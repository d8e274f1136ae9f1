# Makes an inventory and a machine at a center on the host TARGET_HOST, drives its power, and looks at each effect.
require 'rbvmomi'
require_relative 'rbvmomi_checks'

VIM = RbVmomi::VIM
HOST_NAME = ENV['TARGET_HOST']
DATASTORE = ENV['TARGET_DATASTORE']

def step(name)
  puts name
  $stdout.flush
end

vim = VIM.connect(host: ENV['SERVER_HOST'], port: ENV['SERVER_PORT'].to_i, path: '/sdk', ssl: true, insecure: true,
                  user: ENV['SERVER_USER'], password: ENV['SERVER_PASSWORD'])
content = vim.serviceContent
check(content.about.apiType == 'VirtualCenter' && content.about.productLineId == 'vpx', content.about.apiType)
check(vim.rootFolder.name == 'Datacenters', vim.rootFolder.name)
step 'signed in at a center'

datacenter = vim.serviceInstance.find_datacenter('Datacenter')
compute = datacenter.find_compute_resource(HOST_NAME)
host = compute.host.find { |each| each.name == HOST_NAME }
check(host.runtime.connectionState == 'connected', 'the host is connected')
datastore = datacenter.find_datastore(DATASTORE)
check(datastore.summary.accessible && host.datastore.include?(datastore), 'its datastore')
check(compute.stats[:totalMem] > 0, compute.stats.inspect)
check(compute.resourcePool.name == 'Resources', compute.resourcePool.name)
step 'found a host by its path'

folder = datacenter.vmFolder.traverse!("ruby/of #{HOST_NAME}", VIM::Folder)
check(folder.pretty_path == "Datacenter/vm/ruby/of #{HOST_NAME}", folder.pretty_path)
check(datacenter.vmFolder.traverse("ruby/of #{HOST_NAME}") == folder, 'found by its path')
pool = compute.resourcePool.CreateResourcePool(
  name: 'ruby',
  spec: VIM.ResourceConfigSpec(
    cpuAllocation: VIM.ResourceAllocationInfo(reservation: 0, limit: -1, expandableReservation: true,
                                              shares: VIM.SharesInfo(level: 'normal', shares: 0)),
    memoryAllocation: VIM.ResourceAllocationInfo(reservation: 0, limit: -1, expandableReservation: true,
                                                 shares: VIM.SharesInfo(level: 'high', shares: 0))
  )
)
check(compute.resourcePool.find('ruby') == pool, 'the pool')
name = "from ruby on #{HOST_NAME}"
spec = VIM.VirtualMachineConfigSpec(
  name: name, memoryMB: 80, numCPUs: 1, guestId: 'otherLinux64Guest',
  files: VIM.VirtualMachineFileInfo(vmPathName: "[#{DATASTORE}]"),
  deviceChange: [
    VIM.VirtualDeviceConfigSpec(
      operation: :add,
      device: VIM.ParaVirtualSCSIController(key: 1000, busNumber: 0, sharedBus: :noSharing)
    ),
    VIM.VirtualDeviceConfigSpec(
      operation: :add, fileOperation: :create,
      device: VIM.VirtualDisk(
        key: -1, controllerKey: 1000, unitNumber: 0, capacityInKB: 4096,
        backing: VIM.VirtualDiskFlatVer2BackingInfo(fileName: "[#{DATASTORE}]", diskMode: :persistent, thinProvisioned: true)
      )
    )
  ]
)
machine = folder.CreateVM_Task(config: spec, pool: pool, host: host).wait_for_completion
directory = File.join(ENV['SERVER_DATASTORE'], name)
check(File.size(File.join(directory, "#{name}-flat.vmdk")) == 4096 * 1024, 'the disk')
check(machine.parent == folder && machine.runtime.host == host && machine.resourcePool == pool, 'its place')
check(datacenter.find_vm("ruby/of #{HOST_NAME}/#{name}") == machine, 'found by its path')
fault_of('DuplicateName') { folder.CreateVM_Task(config: spec, pool: pool, host: host).wait_for_completion }
step 'created a machine in a folder and a pool'

collected = content.propertyCollector.collectMultiple([machine, host, folder], 'name', 'parent')
check(collected[machine]['name'] == name && collected[folder]['parent'].name == 'ruby', collected.inspect)
view = content.viewManager.CreateContainerView(container: folder, type: ['VirtualMachine'], recursive: true)
check(view.view == [machine], 'the view of a folder')
inventory = datacenter.vmFolder.inventory_flat('VirtualMachine' => ['name'])
check(inventory.keys.include?(machine), 'the inventory below a folder')
step 'property collector and view'

machine.PowerOnVM_Task.wait_for_completion
running = engines
check(running.length == 1, "#{running.length} engines")
memory = running[0][running[0].index('-m') + 1]
check((memory.to_i - 80 * 1024).abs <= 256 && memory.end_with?('K'), memory)
check(machine.runtime.powerState == 'poweredOn' && machine.runtime.bootTime, 'power state')
fault = fault_of('InvalidPowerState') { machine.PowerOnVM_Task.wait_for_completion }
check(fault.existingState == 'poweredOn', fault.existingState)
machine.ResetVM_Task.wait_for_completion
machine.SuspendVM_Task.wait_for_completion
check(machine.runtime.powerState == 'suspended' && engines.empty?, 'suspended')
machine.PowerOnVM_Task.wait_for_completion
machine.PowerOffVM_Task.wait_for_completion
check(machine.runtime.powerState == 'poweredOff' && engines.empty?, 'powered off')
step 'drove its power'

machine.Destroy_Task.wait_for_completion
check(!File.exist?(directory), 'the folder is there')
pool.Destroy_Task.wait_for_completion
datacenter.vmFolder.traverse('ruby').Destroy_Task.wait_for_completion
check(datacenter.vmFolder.traverse('ruby').nil?, 'the folder is there')
fault_of('ManagedObjectNotFound') { machine.name }
vim.close
step 'destroyed'
