// The cases of govmomi, the library that govc, Terraform's provider and Packer's builders are made of. What they did is
// looked at in the engine, in the files and in the guest. Tells each outcome as a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var (
	atCenter = os.Getenv("BED_ENDPOINT") == "center"
	own      = "govmomi-" + os.Getenv("BED_ENDPOINT")
	ctx      = context.Background()
	bed      *world
)

// What the cases share: a session, and what a machine needs.
type world struct {
	client     *govmomi.Client
	finder     *find.Finder
	datacenter *object.Datacenter
	datastore  *object.Datastore
	folders    *object.DatacenterFolders
	pool       *object.ResourcePool
	host       *object.HostSystem
}

type test struct {
	name   string
	quick  bool
	center bool
	body   func()
}

// A check that did not hold.
type unmet struct{ expected, said string }

func check(holds bool, expected string, said ...interface{}) {
	if !holds {
		panic(unmet{expected, strings.TrimSpace(fmt.Sprintln(said...))})
	}
}

func must(err error) {
	if err != nil {
		panic(unmet{"success", fmt.Sprintf("%s (%s)", err, faultOf(err))})
	}
}

// The fault that a call or a task ended in.
func faultOf(err error) string {
	if soap.IsSoapFault(err) {
		return fmt.Sprintf("%T", soap.ToSoapFault(err).VimFault())
	}
	if soap.IsVimFault(err) {
		return fmt.Sprintf("%T", soap.ToVimFault(err))
	}
	var task interface{ Fault() types.BaseMethodFault }
	if errors.As(err, &task) {
		return fmt.Sprintf("%T", task.Fault())
	}
	return fmt.Sprintf("%T", err)
}

func mustFail(err error, fault string) {
	check(err != nil, fault, "success")
	check(strings.HasSuffix(faultOf(err), "."+fault), fault, faultOf(err), err)
}

// Waits for a task.
func done(task *object.Task, err error) *types.TaskInfo {
	must(err)
	info, err := task.WaitForResult(ctx, nil)
	must(err)
	return info
}

func address() *url.URL {
	return &url.URL{
		Scheme: "https",
		Host:   os.Getenv("SERVER_HOST") + ":" + os.Getenv("SERVER_PORT"),
		Path:   "/sdk",
		User:   url.UserPassword(os.Getenv("SERVER_USER"), os.Getenv("SERVER_PASSWORD")),
	}
}

func open() *world {
	client, err := govmomi.NewClient(ctx, address(), true)
	must(err)
	finder := find.NewFinder(client.Client)
	datacenter, err := finder.DefaultDatacenter(ctx)
	must(err)
	finder.SetDatacenter(datacenter)
	datastore, err := finder.Datastore(ctx, "datastore1")
	must(err)
	folders, err := datacenter.Folders(ctx)
	must(err)
	host, err := finder.DefaultHostSystem(ctx)
	must(err)
	pool, err := finder.DefaultResourcePool(ctx)
	must(err)
	return &world{client, finder, datacenter, datastore, folders, pool, host}
}

// Command lines of QEMU processes that hold a file of the server's home.
func engines() map[string][]string {
	found := map[string][]string{}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		line, err := os.ReadFile(folder + "/cmdline")
		words := strings.Split(string(line), "\x00")
		if err != nil || !strings.Contains(words[0], "qemu-system-") {
			continue
		}
		descriptors, _ := filepath.Glob(folder + "/fd/*")
		for _, descriptor := range descriptors {
			if name, _ := os.Readlink(descriptor); strings.HasPrefix(name, os.Getenv("SERVER_HOME")+"/") {
				found[filepath.Base(folder)] = words
				break
			}
		}
	}
	return found
}

// Process and command line of the engine of a machine; empty where none runs.
func engineOf(machine *object.VirtualMachine) (string, []string) {
	uuid := machine.UUID(ctx)
	for pid, words := range engines() {
		if option(words, "-uuid") == uuid {
			return pid, words
		}
	}
	return "", nil
}

func option(words []string, name string) string {
	for at, word := range words {
		if word == name && at+1 < len(words) {
			return words[at+1]
		}
	}
	return ""
}

func has(words []string, part string) bool {
	return strings.Contains(strings.Join(words, "\x00"), part)
}

func onDatastore(names ...string) string {
	return filepath.Join(append([]string{os.Getenv("SERVER_DATASTORE")}, names...)...)
}

func contentOf(names ...string) string {
	content, err := os.ReadFile(onDatastore(names...))
	must(err)
	return string(content)
}

func exists(names ...string) bool {
	_, err := os.Stat(onDatastore(names...))
	return err == nil
}

func until(holds func() bool, what string) {
	for began := time.Now(); !holds(); time.Sleep(100 * time.Millisecond) {
		check(time.Since(began) < 3*time.Minute, what, "not within three minutes")
	}
}

// A disk on the first controller for them.
func newDisk(devices object.VirtualDeviceList, kilobytes int64) *types.VirtualDisk {
	controller, err := devices.FindDiskController("")
	must(err)
	disk := devices.CreateDisk(controller, bed.datastore.Reference(), "")
	disk.CapacityInKB = kilobytes
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ThinProvisioned = types.NewBool(true)
	return disk
}

// Makes a machine with a disk of 4 MiB and an adapter, as govc's vm.create does.
func create(name string) *object.VirtualMachine {
	var devices object.VirtualDeviceList
	controller, err := devices.CreateSCSIController("pvscsi")
	must(err)
	devices = append(devices, controller)
	devices = append(devices, newDisk(devices, 4096))
	network, err := bed.finder.DefaultNetwork(ctx)
	must(err)
	backing, err := network.EthernetCardBackingInfo(ctx)
	must(err)
	card, err := devices.CreateEthernetCard("vmxnet3", backing)
	must(err)
	changes, err := append(devices, card).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	must(err)
	info := done(bed.folders.VmFolder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name:         name,
		GuestId:      "otherLinux64Guest",
		NumCPUs:      1,
		MemoryMB:     64,
		Files:        &types.VirtualMachineFileInfo{VmPathName: "[datastore1]"},
		DeviceChange: changes,
	}, bed.pool, bed.host))
	return object.NewVirtualMachine(bed.client.Client, info.Result.(types.ManagedObjectReference))
}

func destroy(machine *object.VirtualMachine) {
	state, err := machine.PowerState(ctx)
	must(err)
	if state == types.VirtualMachinePowerStatePoweredOn {
		done(machine.PowerOff(ctx))
	}
	done(machine.Destroy(ctx))
}

// A machine for one case.
func withMachine(part string, body func(machine *object.VirtualMachine, name string)) {
	name := own + "-" + part
	machine := create(name)
	defer destroy(machine)
	body(machine, name)
}

func run(each test) (outcome map[string]interface{}) {
	began := time.Now()
	outcome = map[string]interface{}{"case": each.name, "passed": true}
	defer func() {
		outcome["seconds"] = time.Since(began).Seconds()
		failure := recover()
		if failure == nil {
			return
		}
		outcome["passed"] = false
		outcome["command"] = place()
		if known, ok := failure.(unmet); ok {
			outcome["said"], outcome["expected"] = known.said, known.expected
		} else {
			outcome["said"], outcome["expected"] = fmt.Sprint(failure), "no panic"
		}
	}()
	each.body()
	return
}

// Where in the cases it failed.
func place() string {
	for _, line := range strings.Split(string(debug.Stack()), "\n") {
		if strings.Contains(line, "_cases.go:") {
			return strings.TrimSpace(line)
		}
	}
	return "govmomi"
}

func main() {
	out := json.NewEncoder(os.Stdout)
	var wanted []test
	names := []string{}
	for _, each := range append(machineCases, otherCases...) {
		if each.center && !atCenter || !each.quick && os.Getenv("BED_QUICK") == "1" {
			continue
		}
		if strings.Contains(each.name, os.Getenv("BED_CASE")) {
			wanted = append(wanted, each)
			names = append(names, each.name)
		}
	}
	out.Encode(map[string][]string{"plan": names})
	bed = open()
	for _, each := range wanted {
		out.Encode(run(each))
	}
	bed.client.Logout(ctx)
}
