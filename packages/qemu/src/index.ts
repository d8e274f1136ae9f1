/**
 * The Hypervisor contract on QEMU.
 *
 *     const hypervisor = new QemuHypervisor({ cacheDirectory: '/var/cache/hypostyle' });
 *     const machine = await hypervisor.start({ uuid, hardware, runDirectory, lockPath, logPath });
 *     machine.subscribe((event) => console.log(event));
 */
export { QemuHypervisor, type QemuHypervisorOptions } from './qemu-hypervisor.ts';
export { connectSerial, type SerialConnectionOptions, SlowViewerError } from './serial-connection.ts';
