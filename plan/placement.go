package plan

import (
	"slices"
	"strings"

	"alexnet/dnn"
	"alexnet/model"
)

// Placement is the devices that a network is put on: for each replica one, or one for
// each column.
type Placement struct {
	Devices  []dnn.Device
	Replicas int // 0 is one
}

// On places a network on devices, once.
func On(devices ...dnn.Device) Placement { return Placement{Devices: devices} }

// Compile is [Compile] on the devices and for the replicas of a placement, in bfloat16
// where that is what the devices compute in, unless every output is kept.
func (on Placement) Compile(net *model.Net, o Options) (*Program, error) {
	o.Replicas, o.BFloat16 = on.Replicas, dnn.InBFloat16(on.Devices) && !o.KeepAll
	return Compile(net, on.Names(), o)
}

// Names returns what the devices are called.
func (on Placement) Names() []string {
	names := make([]string, len(on.Devices))
	for i, d := range on.Devices {
		names[i] = d.Name()
	}
	return names
}

// String returns the names as the user gives them: with a + between replicas, and commas
// between their columns.
func (on Placement) String() string {
	replicas := max(1, on.Replicas)
	var all []string
	for one := range slices.Chunk(on.Names(), max(1, len(on.Devices)/replicas)) {
		all = append(all, strings.Join(one, ","))
	}
	return strings.Join(all, "+")
}

// Width returns the count of devices of a replica: one, or one for each column.
func (p *Program) Width() int { return len(p.Devices) / p.Replicas }

// Share returns which of n bytes, or numbers, of a slot are a device's: all of control,
// and of what is divided the share of the device's replica.
func (p *Program) Share(slot Slot, device, n int) (from, to int) {
	if slot == Control {
		return 0, n
	}
	each, replica := n/p.Replicas, device/p.Width()
	return replica * each, (replica + 1) * each
}

// placeable reports, as an error, what keeps a network from being placed on a count of
// devices.
func placeable(net *model.Net, devices, replicas int) error {
	if devices%replicas != 0 {
		return errorf("cannot place %d replicas of %s on %d devices: each needs as many as the others", replicas, net.Name, devices)
	}
	const hint = "put a + between devices, as in cuda:0+cuda:1, to give each a share of the batch"
	switch each := devices / replicas; {
	case each == 1 || each == net.Columns:
		return nil
	case net.Columns == 1:
		return errorf("cannot place %s on %d devices: it has one column, for one device; %s", net.Name, each, hint)
	default:
		return errorf("cannot place %s on %d devices: it has %d columns, so give 1 device or one for each column; %s",
			net.Name, each, net.Columns, hint)
	}
}
