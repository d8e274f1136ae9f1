package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

var machineCases = []test{
	{name: "made with a disk and an adapter", quick: true, body: func() {
		withMachine("made", func(machine *object.VirtualMachine, name string) {
			disk, err := os.Stat(onDatastore(name, name+"-flat.vmdk"))
			must(err)
			check(disk.Size() == 4096*1024, "a disk of 4 MiB", disk.Size())
			devices, err := machine.Device(ctx)
			must(err)
			mac := devices.PrimaryMacAddress()
			check(strings.Contains(contentOf(name, name+".vmx"), mac), "its address in the .vmx", mac)
		})
	}},
	{name: "powered on and off", quick: true, body: func() {
		withMachine("power", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			pid, words := engineOf(machine)
			check(pid != "", "an engine")
			check(has(words, name), "an engine with its files")
			_, err := machine.PowerOn(ctx)
			if err == nil {
				task, _ := machine.PowerOn(ctx)
				_, err = task.WaitForResult(ctx, nil)
			}
			mustFail(err, "InvalidPowerState")
			done(machine.PowerOff(ctx))
			pid, _ = engineOf(machine)
			check(pid == "", "no engine", pid)
		})
	}},
	{name: "suspended and resumed", body: func() {
		withMachine("suspended", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			done(machine.Suspend(ctx))
			pid, _ := engineOf(machine)
			check(pid == "", "no engine", pid)
			done(machine.PowerOn(ctx))
			must(machine.WaitForPowerState(ctx, types.VirtualMachinePowerStatePoweredOn))
			pid, _ = engineOf(machine)
			check(pid != "", "an engine")
		})
	}},
	{name: "reset keeps its engine", body: func() {
		withMachine("reset", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			before, _ := engineOf(machine)
			done(machine.Reset(ctx))
			after, _ := engineOf(machine)
			check(before == after, "the same process", before, after)
		})
	}},
	{name: "processors and memory", body: func() {
		withMachine("sized", func(machine *object.VirtualMachine, name string) {
			done(machine.Reconfigure(ctx, types.VirtualMachineConfigSpec{NumCPUs: 2, MemoryMB: 96}))
			done(machine.PowerOn(ctx))
			_, words := engineOf(machine)
			check(kibibytesOf(words) > 95*1024 && kibibytesOf(words) < 97*1024, "96 MiB", option(words, "-m"))
			check(strings.Contains(option(words, "-smp"), "2"), "two processors", option(words, "-smp"))
		})
	}},
	{name: "extra configuration and an annotation", body: func() {
		withMachine("extra", func(machine *object.VirtualMachine, name string) {
			done(machine.Reconfigure(ctx, types.VirtualMachineConfigSpec{
				Annotation:  "made by govmomi",
				ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.role", Value: "web"}},
			}))
			vmx := contentOf(name, name+".vmx")
			check(strings.Contains(vmx, `guestinfo.role = "web"`), "its setting", vmx)
			check(strings.Contains(vmx, "made by govmomi"), "its annotation", vmx)
		})
	}},
	{name: "a disk added, grown and removed", body: func() {
		withMachine("disks", func(machine *object.VirtualMachine, name string) {
			devices, err := machine.Device(ctx)
			must(err)
			must(machine.AddDevice(ctx, newDisk(devices, 2048)))
			check(exists(name, name+"_1-flat.vmdk"), "a second disk")
			devices, err = machine.Device(ctx)
			must(err)
			disks := devices.SelectByType((*types.VirtualDisk)(nil))
			check(len(disks) == 2, "two disks", len(disks))
			disk := disks[1].(*types.VirtualDisk)
			disk.CapacityInKB, disk.CapacityInBytes = 6144, 0
			must(machine.EditDevice(ctx, disk))
			facts, err := os.Stat(onDatastore(name, name+"_1-flat.vmdk"))
			must(err)
			check(facts.Size() == 6144*1024, "6 MiB", facts.Size())
			must(machine.RemoveDevice(ctx, false, disk))
			check(!exists(name, name+"_1-flat.vmdk"), "no second disk")
		})
	}},
	{name: "a disk and an adapter while it runs", body: func() {
		withMachine("hot", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			devices, err := machine.Device(ctx)
			must(err)
			must(machine.AddDevice(ctx, newDisk(devices, 2048)))
			pid, _ := engineOf(machine)
			open := ""
			for _, descriptor := range descriptorsOf(pid) {
				if strings.Contains(descriptor, name+"_1") {
					open = descriptor
				}
			}
			check(open != "", "the engine has it open")
		})
	}},
	{name: "a CD-ROM drive and an image", body: func() {
		withMachine("drive", func(machine *object.VirtualMachine, name string) {
			must(os.WriteFile(onDatastore(name, "tools.iso"), make([]byte, 65536), 0o600))
			devices, err := machine.Device(ctx)
			must(err)
			controller, err := devices.FindIDEController("")
			must(err)
			drive, err := devices.CreateCdrom(controller)
			must(err)
			must(machine.AddDevice(ctx, devices.InsertIso(drive, fmt.Sprintf("[datastore1] %s/tools.iso", name))))
			done(machine.PowerOn(ctx))
			_, words := engineOf(machine)
			check(has(words, "tools.iso"), "an engine with the image")
		})
	}},
	{name: "boot order", body: func() {
		withMachine("boot", func(machine *object.VirtualMachine, name string) {
			devices, err := machine.Device(ctx)
			must(err)
			must(machine.SetBootOptions(ctx, &types.VirtualMachineBootOptions{
				BootDelay: 200,
				BootOrder: devices.BootOrder([]string{"ethernet", "disk"}),
			}))
			options, err := machine.BootOptions(ctx)
			must(err)
			check(len(options.BootOrder) == 2 && options.BootDelay == 200, "what was set", options)
			done(machine.PowerOn(ctx))
			_, words := engineOf(machine)
			check(has(words, "bootindex"), "an order in the engine")
		})
	}},
	{name: "snapshots: taken, gone back to, removed", quick: true, body: func() {
		withMachine("kept", func(machine *object.VirtualMachine, name string) {
			done(machine.CreateSnapshot(ctx, "base", "before", false, false))
			check(exists(name, name+"-000001.vmdk"), "a delta")
			done(machine.Reconfigure(ctx, types.VirtualMachineConfigSpec{MemoryMB: 128}))
			done(machine.RevertToSnapshot(ctx, "base", true))
			vmx := contentOf(name, name+".vmx")
			check(strings.Contains(vmx, `memSize = "64"`) || strings.Contains(vmx, `memsize = "64"`), "64 MiB again", vmx)
			found, err := machine.FindSnapshot(ctx, "base")
			must(err)
			check(found != nil, "it is found by its name")
			done(machine.RemoveSnapshot(ctx, "base", false, types.NewBool(true)))
			check(!exists(name, name+"-000001.vmdk"), "no delta")
		})
	}},
	{name: "a snapshot of what runs, with its memory", body: func() {
		withMachine("memory", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			before, _ := engineOf(machine)
			done(machine.CreateSnapshot(ctx, "running", "", true, false))
			check(exists(name, name+"-Snapshot1.vmem"), "its memory")
			done(machine.PowerOff(ctx))
			done(machine.RevertToCurrentSnapshot(ctx, false))
			after, _ := engineOf(machine)
			check(after != "" && after != before, "another engine goes on", before, after)
			done(machine.RemoveAllSnapshot(ctx, types.NewBool(true)))
			check(!exists(name, name+"-Snapshot1.vmem"), "no memory")
		})
	}},
	{name: "renamed", body: func() {
		withMachine("old", func(machine *object.VirtualMachine, name string) {
			done(machine.Rename(ctx, own+"-new"))
			found, err := bed.finder.VirtualMachine(ctx, own+"-new")
			must(err)
			check(found.Reference() == machine.Reference(), "the same machine", found.Reference())
			check(strings.Contains(contentOf(name, name+".vmx"), own+"-new"), "its name in the .vmx")
		})
	}},
	{name: "unregistered and registered", body: func() {
		name := own + "-registered"
		machine := create(name)
		must(machine.Unregister(ctx))
		check(exists(name, name+".vmx"), "its files stay")
		path := fmt.Sprintf("[datastore1] %s/%s.vmx", name, name)
		info := done(bed.folders.VmFolder.RegisterVM(ctx, path, "", false, bed.pool, bed.host))
		destroy(object.NewVirtualMachine(bed.client.Client, info.Result.(types.ManagedObjectReference)))
		check(!exists(name, name+".vmx"), "no files")
	}},
	{name: "a name twice", body: func() {
		withMachine("twice", func(machine *object.VirtualMachine, name string) {
			task, err := bed.folders.VmFolder.CreateVM(ctx, types.VirtualMachineConfigSpec{
				Name:    name,
				GuestId: "otherLinux64Guest",
				Files:   &types.VirtualMachineFileInfo{VmPathName: "[datastore1]"},
			}, bed.pool, bed.host)
			if err == nil {
				_, err = task.WaitForResult(ctx, nil)
			}
			mustFail(err, "DuplicateName")
		})
	}},
	{name: "keys by scan codes", body: func() {
		withMachine("keys", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			keys := types.UsbScanCodeSpec{KeyEvents: []types.UsbScanCodeSpecKeyEvent{{UsbHidCode: 0x04<<16 | 7}}}
			pressed, err := machine.PutUsbScanCodes(ctx, keys)
			must(err)
			check(pressed == 1, "one key", pressed)
		})
	}},
	{name: "a ticket for the console", body: func() {
		withMachine("ticket", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			ticket, err := machine.AcquireTicket(ctx, string(types.VirtualMachineTicketTypeWebmks))
			must(err)
			check(strings.HasSuffix(ticket.Url, "/ticket/"+ticket.Ticket), "an address with the ticket", ticket)
		})
	}},
	{name: "cloned", center: true, quick: true, body: func() {
		withMachine("original", func(machine *object.VirtualMachine, name string) {
			pool := bed.pool.Reference()
			info := done(machine.Clone(ctx, bed.folders.VmFolder, own+"-copy", types.VirtualMachineCloneSpec{
				Location: types.VirtualMachineRelocateSpec{Pool: &pool},
				PowerOn:  true,
			}))
			copied := object.NewVirtualMachine(bed.client.Client, info.Result.(types.ManagedObjectReference))
			defer destroy(copied)
			pid, _ := engineOf(copied)
			check(pid != "", "an engine of its own")
			check(exists(own+"-copy", own+"-copy-flat.vmdk"), "a disk of its own")
		})
	}},
	{name: "a template, and a machine of it", center: true, body: func() {
		withMachine("template", func(machine *object.VirtualMachine, name string) {
			must(machine.MarkAsTemplate(ctx))
			template, err := machine.IsTemplate(ctx)
			must(err)
			check(template, "a template")
			pool := bed.pool.Reference()
			info := done(machine.Clone(ctx, bed.folders.VmFolder, own+"-made", types.VirtualMachineCloneSpec{
				Location: types.VirtualMachineRelocateSpec{Pool: &pool},
				Config:   &types.VirtualMachineConfigSpec{MemoryMB: 96},
			}))
			check(strings.Contains(strings.ToLower(contentOf(own+"-made", own+"-made.vmx")), `memsize = "96"`), "96 MiB")
			destroy(object.NewVirtualMachine(bed.client.Client, info.Result.(types.ManagedObjectReference)))
			must(machine.MarkAsVirtualMachine(ctx, *bed.pool, nil))
		})
	}},
	{name: "a linked clone", center: true, body: func() {
		withMachine("base", func(machine *object.VirtualMachine, name string) {
			done(machine.CreateSnapshot(ctx, "base", "", false, false))
			snapshot, err := machine.FindSnapshot(ctx, "base")
			must(err)
			info := done(machine.Clone(ctx, bed.folders.VmFolder, own+"-linked", types.VirtualMachineCloneSpec{
				Location: types.VirtualMachineRelocateSpec{
					DiskMoveType: string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking),
				},
				Snapshot: snapshot,
			}))
			check(strings.Contains(contentOf(own+"-linked", own+"-linked.vmdk"), name), "its disk stands on the original's")
			destroy(object.NewVirtualMachine(bed.client.Client, info.Result.(types.ManagedObjectReference)))
		})
	}},
	{name: "an instant clone goes on from memory", center: true, body: func() {
		withMachine("parent", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			info := done(machine.InstantClone(ctx, types.VirtualMachineInstantCloneSpec{
				Name:   own + "-child",
				Config: []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.ic.role", Value: "child"}},
			}))
			child := object.NewVirtualMachine(bed.client.Client, info.Result.(types.ManagedObjectReference))
			defer destroy(child)
			pid, _ := engineOf(child)
			check(pid != "", "an engine of its own")
		})
	}},
}

// Memory of an engine.
func kibibytesOf(words []string) (kibibytes int) {
	fmt.Sscanf(option(words, "-m"), "%dK", &kibibytes)
	return
}

func descriptorsOf(pid string) []string {
	var found []string
	entries, _ := os.ReadDir("/proc/" + pid + "/fd")
	for _, entry := range entries {
		name, _ := os.Readlink("/proc/" + pid + "/fd/" + entry.Name())
		found = append(found, name)
	}
	return found
}
