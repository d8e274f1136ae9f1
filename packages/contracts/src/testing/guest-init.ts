/**
 * First program of the test guest. Each line `<token> <shell command>` on the first serial port runs the command; its
 * output follows, and then a line `END <token> <exit code>`.
 */
export const guestInitScript = `#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
hostname test-guest
for module in /modules/*.ko; do insmod $module 2>/dev/null; done
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty raw -echo
ip link set lo up
# The ACPI power button is an input device; any event of it ends the machine.
for device in /sys/class/input/event*; do
  case "$(cat $device/device/name)" in
    *Power*) (head -c 24 /dev/input/\${device##*/} >/dev/null && poweroff -f) & ;;
  esac
done
for port in /sys/class/virtio-ports/*; do
  if [ "$(cat $port/name 2>/dev/null)" = org.qemu.guest_agent.0 ] && [ -x /usr/sbin/qemu-ga ]; then
    # What the agent calls, with -P or -r among the arguments.
    mkdir -p /sbin
    printf '#!/bin/sh\\ncase "$*" in *-r*) /bin/reboot -f ;; *) /bin/poweroff -f ;; esac\\n' >/sbin/shutdown
    chmod 755 /sbin/shutdown
    /usr/sbin/qemu-ga -m virtio-serial -p /dev/\${port##*/} </dev/null >/dev/null 2>&1 &
  fi
done
printf 'READY %s\\n' "$(cat /sys/class/dmi/id/product_uuid | tr A-Z a-z)"
while true; do
  while read -r token command; do
    eval "$command" </dev/null
    printf 'END %s %s\\n' "$token" "$?"
  done
  sleep 1
done
`;
