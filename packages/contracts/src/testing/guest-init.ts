/** Accounts of the test guest, which its agent can check. */
export const guestAccounts = {
  root: { userName: 'root', password: 'guest-secret-1' },
  user: { userName: 'operator', password: 'operator-secret-1', uid: 1000, home: '/home/operator' },
} as const;

const hashes = {
  root: '$6$hypostyle$uJVIG/o9C/M56HFbwCQzdhUkZ/xckWR0.cFhY7YIEIIupULVLzlGWW1UoNJ.Tw1sh1oOpPZhkbUUPEHRs60yY.',
  user: '$6$operator$anw2GwqaCbF0PPo1yTUunQr81iO5QDObiXB.wS2Tq55yyOVb6T0TrcSFIJ49jVbnCQWVZTwMsHvATHd2ROCsH0',
};

/**
 * First program of the test guest, with `early` as shell lines that run once its hardware is there, before the agent
 * does. Each line `<token> <shell command>` on the first serial port runs the command; its
 * output follows, and then a line `END <token> <exit code>`. A shell listens to the keyboard of the screen.
 */
export const guestInitScript = (early = ''): string => `#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
hostname test-guest
for module in /modules/*.ko; do insmod $module 2>/dev/null; done
chmod 1777 /tmp
mkdir -p /root ${guestAccounts.user.home}
printf 'root:x:0:0::/root:/bin/sh\\noperator:x:1000:1000::${guestAccounts.user.home}:/bin/sh\\n' >/etc/passwd
printf 'root:x:0:\\noperator:x:1000:\\n' >/etc/group
(umask 077; printf '%s\\n' 'root:${hashes.root}:19000::::::' 'operator:${hashes.user}:19000::::::' >/etc/shadow)
chown operator:operator ${guestAccounts.user.home}
${early}(while true; do setsid sh -c 'exec sh -i' </dev/tty1 >/dev/tty1 2>&1; sleep 1; done) &
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
