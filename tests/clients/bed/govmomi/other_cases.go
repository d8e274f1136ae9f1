package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/guest"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/performance"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var guestLogin = &types.NamePasswordAuthentication{Username: "root", Password: "guest-secret-1"}

func guestMachine() *object.VirtualMachine {
	machine, err := bed.finder.VirtualMachine(ctx, "bed-guest")
	must(err)
	return machine
}

// Runs a program in the guest of the bed, and waits for its end.
func inGuest(program, arguments string) {
	manager, err := guest.NewOperationsManager(bed.client.Client, guestMachine().Reference()).ProcessManager(ctx)
	must(err)
	pid, err := manager.StartProgram(ctx, guestLogin, &types.GuestProgramSpec{ProgramPath: program, Arguments: arguments})
	must(err)
	until(func() bool {
		processes, err := manager.ListProcesses(ctx, guestLogin, []int64{pid})
		must(err)
		if len(processes) == 1 && processes[0].EndTime != nil {
			check(processes[0].ExitCode == 0, "an exit with 0", processes[0].ExitCode)
			return true
		}
		return false
	}, program+" to end")
}

var otherCases = []test{
	{name: "about", quick: true, body: func() {
		check(bed.client.IsVC() == atCenter, "what it is", bed.client.ServiceContent.About.ApiType)
		now, err := methods.GetCurrentTime(ctx, bed.client.Client)
		must(err)
		apart := time.Since(*now)
		check(apart < time.Minute && apart > -time.Minute, "the time of this machine", now)
	}},
	{name: "a wrong password", quick: true, body: func() {
		wrong := address()
		wrong.User = url.UserPassword(os.Getenv("SERVER_USER"), "not the password")
		_, err := govmomi.NewClient(ctx, wrong, true)
		mustFail(err, "InvalidLogin")
	}},
	{name: "machines found by their paths", body: func() {
		machines, err := bed.finder.VirtualMachineList(ctx, "*")
		must(err)
		var paths []string
		for _, machine := range machines {
			paths = append(paths, machine.InventoryPath)
		}
		path := guestMachine().InventoryPath
		check(strings.Contains(strings.Join(paths, " "), path), path, paths)
		pid, _ := engineOf(guestMachine())
		check(pid != "", "an engine of its UUID")
	}},
	{name: "what is not there", body: func() {
		_, err := bed.finder.VirtualMachine(ctx, "no-such-machine")
		check(err != nil && strings.Contains(err.Error(), "not found"), "not found", err)
	}},
	{name: "a view of machines, with their states", body: func() {
		container, err := view.NewManager(bed.client.Client).CreateContainerView(
			ctx, bed.client.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
		must(err)
		defer container.Destroy(ctx)
		var machines []mo.VirtualMachine
		must(container.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "config.uuid", "runtime.powerState"}, &machines))
		running := map[string]bool{}
		for _, words := range engines() {
			running[option(words, "-uuid")] = true
		}
		for _, machine := range machines {
			runs := machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
			check(machine.Config == nil || running[machine.Config.Uuid] == runs, "as its engine is", machine.Name)
		}
	}},
	{name: "a property is waited for", body: func() {
		withMachine("watched", func(machine *object.VirtualMachine, name string) {
			changed := make(chan error, 1)
			go func() {
				paths := []string{"config.annotation"}
				changed <- property.Wait(ctx, property.DefaultCollector(bed.client.Client), machine.Reference(), paths,
					func(changes []types.PropertyChange) bool { return changes[0].Val == "seen" })
			}()
			done(machine.Reconfigure(ctx, types.VirtualMachineConfigSpec{Annotation: "seen"}))
			must(<-changed)
			check(strings.Contains(contentOf(name, name+".vmx"), "seen"), "its annotation in the .vmx")
		})
	}},
	{name: "a file uploaded, looked at, read and deleted", quick: true, body: func() {
		content := bytes.Repeat([]byte("govmomi\n"), 100_000)
		name := own + ".txt"
		upload := soap.DefaultUpload
		upload.ContentLength = int64(len(content))
		must(bed.datastore.Upload(ctx, bytes.NewReader(content), name, &upload))
		check(contentOf(name) == string(content), "its bytes on the datastore")
		info, err := bed.datastore.Stat(ctx, name)
		must(err)
		check(info.GetFileInfo().FileSize == int64(len(content)), "its size", info.GetFileInfo().FileSize)
		reader, size, err := bed.datastore.Download(ctx, name, &soap.DefaultDownload)
		must(err)
		back, err := io.ReadAll(reader)
		must(err)
		reader.Close()
		check(size == int64(len(content)) && bytes.Equal(back, content), "the same bytes", size)
		files := object.NewFileManager(bed.client.Client)
		done(files.DeleteDatastoreFile(ctx, bed.datastore.Path(name), bed.datacenter))
		check(!exists(name), "no file")
	}},
	{name: "folders made, files copied and moved", body: func() {
		files := object.NewFileManager(bed.client.Client)
		folder := own + "-files"
		must(files.MakeDirectory(ctx, bed.datastore.Path(folder+"/deep"), bed.datacenter, true))
		must(os.WriteFile(onDatastore(folder, "a"), []byte("text"), 0o600))
		at := func(name string) string { return bed.datastore.Path(folder + "/" + name) }
		done(files.CopyDatastoreFile(ctx, at("a"), bed.datacenter, at("b"), bed.datacenter, false))
		done(files.MoveDatastoreFile(ctx, at("a"), bed.datacenter, at("deep/c"), bed.datacenter, false))
		check(contentOf(folder, "b") == "text" && contentOf(folder, "deep", "c") == "text" && !exists(folder, "a"), "two files")
		done(files.DeleteDatastoreFile(ctx, bed.datastore.Path(folder), bed.datacenter))
		check(!exists(folder), "no folder")
	}},
	{name: "a disk by itself", body: func() {
		disks := object.NewVirtualDiskManager(bed.client.Client)
		path := bed.datastore.Path(own + ".vmdk")
		done(disks.CreateVirtualDisk(ctx, path, bed.datacenter, &types.FileBackedVirtualDiskSpec{
			VirtualDiskSpec: types.VirtualDiskSpec{AdapterType: "lsiLogic", DiskType: "thin"},
			CapacityKb:      4096,
		}))
		facts, err := os.Stat(onDatastore(own + "-flat.vmdk"))
		must(err)
		check(facts.Size() == 4<<20, "4 MiB", facts.Size())
		uuid, err := disks.QueryVirtualDiskUuid(ctx, path, bed.datacenter)
		must(err)
		check(len(strings.ReplaceAll(uuid, " ", "")) >= 32, "a UUID", uuid)
		done(disks.InflateVirtualDisk(ctx, path, bed.datacenter))
		done(disks.DeleteVirtualDisk(ctx, path, bed.datacenter))
		check(!exists(own+"-flat.vmdk") && !exists(own+".vmdk"), "no files")
	}},
	{name: "exported by a lease, and imported again", body: func() {
		withMachine("exported", func(machine *object.VirtualMachine, name string) {
			written := bytes.Repeat([]byte{0xa5}, 1<<20)
			disk, err := os.OpenFile(onDatastore(name, name+"-flat.vmdk"), os.O_WRONLY, 0)
			must(err)
			_, err = disk.WriteAt(written, 1<<20)
			must(err)
			disk.Close()
			lease, err := machine.Export(ctx)
			must(err)
			info, err := lease.Wait(ctx, nil)
			must(err)
			updater := lease.StartUpdater(ctx, info)
			local := os.Getenv("HOME") + "/" + own + ".vmdk"
			var item = info.Items[0]
			for _, each := range info.Items {
				if strings.HasSuffix(each.Path, ".vmdk") {
					item = each
				}
			}
			must(lease.DownloadFile(ctx, local, item, soap.DefaultDownload))
			facts, err := os.Stat(local)
			must(err)
			updater.Done()
			item.Size = facts.Size()
			manager := ovf.NewManager(bed.client.Client)
			described, err := manager.CreateDescriptor(ctx, machine, types.OvfCreateDescriptorParams{
				OvfFiles: []types.OvfFile{item.File()},
			})
			must(err)
			must(lease.Complete(ctx))
			spec, err := manager.CreateImportSpec(ctx, described.OvfDescriptor, bed.pool, bed.datastore, types.OvfCreateImportSpecParams{
				DiskProvisioning: "thin",
				EntityName:       own + "-imported",
			})
			must(err)
			check(spec.Error == nil && len(spec.FileItem) == 1, "one disk to import", spec.Error, spec.FileItem)
			imports, err := bed.pool.ImportVApp(ctx, spec.ImportSpec, bed.folders.VmFolder, bed.host)
			must(err)
			targets, err := imports.Wait(ctx, spec.FileItem)
			must(err)
			progress := imports.StartUpdater(ctx, targets)
			content, err := os.Open(local)
			must(err)
			must(imports.Upload(ctx, targets.Items[0], content, soap.Upload{ContentLength: facts.Size()}))
			content.Close()
			progress.Done()
			must(imports.Complete(ctx))
			imported := object.NewVirtualMachine(bed.client.Client, targets.Entity)
			defer destroy(imported)
			second, err := firstDiskOf(own + "-imported")
			must(err)
			whole, again := sha256.Sum256([]byte(contentOf(name, name+"-flat.vmdk"))), sha256.Sum256([]byte(second))
			check(whole == again, "the same bytes", fmt.Sprintf("%x %x", whole, again))
		})
	}},
	{name: "events of a machine", body: func() {
		withMachine("told", func(machine *object.VirtualMachine, name string) {
			done(machine.PowerOn(ctx))
			reference := machine.Reference()
			events, err := event.NewManager(bed.client.Client).QueryEvents(ctx, types.EventFilterSpec{
				Entity: &types.EventFilterSpecByEntity{Entity: reference, Recursion: types.EventFilterSpecRecursionOptionSelf},
			})
			must(err)
			kinds := map[string]bool{}
			for _, each := range events {
				kinds[fmt.Sprintf("%T", each)] = true
			}
			pid, _ := engineOf(machine)
			check(kinds["*types.VmCreatedEvent"] && kinds["*types.VmPoweredOnEvent"] && pid != "", "what was done", kinds)
		})
	}},
	{name: "counters of the host", body: func() {
		manager := performance.NewManager(bed.client.Client)
		until(func() bool {
			sample, err := manager.SampleByName(ctx, types.PerfQuerySpec{MaxSample: 1, IntervalId: 20},
				[]string{"cpu.usage.average", "mem.usage.average"}, []types.ManagedObjectReference{bed.host.Reference()})
			must(err)
			series, err := manager.ToMetricSeries(ctx, sample)
			must(err)
			if len(series) == 0 || len(series[0].Value) < 2 {
				return false
			}
			for _, each := range series[0].Value {
				check(each.Value[0] >= 0 && each.Value[0] <= 10_000, "hundredths of a percent", each.Name, each.Value)
			}
			return true
		}, "samples")
	}},
	{name: "the agent of a guest", body: func() {
		running, err := guestMachine().IsToolsRunning(ctx)
		must(err)
		check(running, "an agent")
	}},
	{name: "programs and files in a guest", quick: true, body: func() {
		operations := guest.NewOperationsManager(bed.client.Client, guestMachine().Reference())
		files, err := operations.FileManager(ctx)
		must(err)
		content := fmt.Sprintf("%s %d", own, time.Now().UnixNano())
		path := "/tmp/" + own
		target, err := files.InitiateFileTransferToGuest(ctx, guestLogin, path, &types.GuestPosixFileAttributes{}, int64(len(content)), true)
		must(err)
		place, err := files.TransferURL(ctx, target)
		must(err)
		upload := soap.DefaultUpload
		upload.ContentLength = int64(len(content))
		must(bed.client.Client.Upload(ctx, strings.NewReader(content), place, &upload))
		inGuest("/bin/sh", fmt.Sprintf("-c 'tr a-z A-Z <%s >%s.upper'", path, path))
		source, err := files.InitiateFileTransferFromGuest(ctx, guestLogin, path+".upper")
		must(err)
		place, err = files.TransferURL(ctx, source.Url)
		must(err)
		reader, _, err := bed.client.Client.Download(ctx, place, &soap.DefaultDownload)
		must(err)
		back, err := io.ReadAll(reader)
		must(err)
		reader.Close()
		check(string(back) == strings.ToUpper(content), strings.ToUpper(content), string(back))
		must(files.DeleteFile(ctx, guestLogin, path))
		wrong := &types.NamePasswordAuthentication{Username: "root", Password: "wrong"}
		_, err = files.ListFiles(ctx, wrong, "/tmp", 0, 10, "")
		mustFail(err, "InvalidGuestLogin")
	}},
	{name: "pools made and removed", body: func() {
		pool, err := bed.pool.Create(ctx, own+"-pool", types.DefaultResourceConfigSpec())
		must(err)
		found, err := bed.finder.ResourcePool(ctx, "*/Resources/"+own+"-pool")
		must(err)
		check(found.Reference() == pool.Reference(), "it is found", found)
		done(pool.Destroy(ctx))
	}},
	{name: "folders made, machines moved into them", center: true, body: func() {
		withMachine("moved", func(machine *object.VirtualMachine, name string) {
			folder, err := bed.folders.VmFolder.CreateFolder(ctx, own)
			must(err)
			done(folder.MoveInto(ctx, []types.ManagedObjectReference{machine.Reference()}))
			found, err := bed.finder.VirtualMachine(ctx, own+"/"+name)
			must(err)
			check(found.Reference() == machine.Reference(), "it is there", found)
			done(bed.folders.VmFolder.MoveInto(ctx, []types.ManagedObjectReference{machine.Reference()}))
			done(folder.Destroy(ctx))
		})
	}},
	{name: "fields and their values", center: true, body: func() {
		withMachine("fields", func(machine *object.VirtualMachine, name string) {
			fields, err := object.GetCustomFieldsManager(bed.client.Client)
			must(err)
			field, err := fields.Add(ctx, own+"-owner", "VirtualMachine", nil, nil)
			must(err)
			must(fields.Set(ctx, machine.Reference(), field.Key, "web team"))
			var found mo.VirtualMachine
			must(machine.Properties(ctx, machine.Reference(), []string{"customValue"}, &found))
			check(len(found.CustomValue) == 1, "its value", found.CustomValue)
			must(fields.Remove(ctx, field.Key))
		})
	}},
	{name: "tags, by REST", center: true, body: func() {
		session := rest.NewClient(bed.client.Client)
		must(session.Login(ctx, address().User))
		defer session.Logout(ctx)
		manager := tags.NewManager(session)
		category, err := manager.CreateCategory(ctx, &tags.Category{Name: own, Cardinality: "SINGLE", AssociableTypes: []string{"VirtualMachine"}})
		must(err)
		tag, err := manager.CreateTag(ctx, &tags.Tag{Name: own + "-gold", CategoryID: category})
		must(err)
		must(manager.AttachTag(ctx, tag, guestMachine()))
		attached, err := manager.GetAttachedTags(ctx, guestMachine())
		must(err)
		check(len(attached) == 1 && attached[0].Name == own+"-gold", "the tag", attached)
		must(manager.DeleteCategory(ctx, &tags.Category{ID: category}))
	}},
	{name: "a session of another client", center: true, body: func() {
		active, err := bed.client.SessionManager.SessionIsActive(ctx)
		must(err)
		check(active, "an active session")
		ticket, err := bed.client.SessionManager.AcquireCloneTicket(ctx)
		must(err)
		check(ticket != "", "a ticket")
	}},
}

// All of the first disk of a machine that was imported, whatever its file is called.
func firstDiskOf(name string) (string, error) {
	entries, err := os.ReadDir(onDatastore(name))
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), "-flat.vmdk") {
			return contentOf(name, entry.Name()), nil
		}
	}
	return "", fmt.Errorf("%s has no disk", name)
}
