package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"alexnet/internal/measure"
	"alexnet/internal/process"
)

// look finds out about the machine, as far as it can be.
func look(ctx context.Context, c *check) (Machine, error) {
	m := Machine{
		CPU:    measure.CPU(),
		Kernel: measure.FromFile("/proc/version", "Linux version"),
		Driver: measure.FromFile("/proc/driver/nvidia/version", "NVRM version:"),
	}
	if m.Driver == "" { // not every container shows the file
		if out, err := process.Output(ctx, c.folder, nil, "nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"); err == nil {
			m.Driver = measure.OneLine(string(out))
		}
	}
	out, err := process.Output(ctx, c.folder, nil, c.program(), "devices", "-json")
	if err == nil {
		if err = json.Unmarshal(out, &m.Devices); err != nil {
			err = fmt.Errorf("alexnet devices -json: %w: %.200q", err, out)
		}
	}
	return m, err
}

// devices is the part that shows the machine. Everything else needs what it finds.
func devices(_ context.Context, c *check, p *Part) error {
	m := &c.result.Machine
	gpus := p.NewTable("GPUs", "name", "model", "memory_mib", "compute_capability", "pci_bus_id", "peers")
	for _, g := range m.Devices.GPUs {
		gpus.Add(g.Name, g.Model, g.Memory>>20, g.ComputeCapability, g.PCI, strings.Join(g.Peers, " "))
	}
	libraries := p.NewTable("Libraries", "name", "version", "path", "missing")
	var missing []string
	for _, l := range m.Devices.Libraries {
		why, _, _ := strings.Cut(l.Missing, "\n")
		libraries.Add(l.Name, l.Version, l.Path, why)
		if l.Missing != "" {
			missing = append(missing, l.Name+": "+l.Missing)
		}
	}
	p.Output = strings.Join(missing, "\n\n")
	if c.lookErr != nil {
		return c.lookErr
	}
	if why := m.Missing(); why != "" {
		return errors.New("no GPU can be used: " + why)
	}
	return nil
}
