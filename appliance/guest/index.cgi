#!/bin/sh
# The page of the appliance. Property values are still escaped as XML, which is right for HTML too.
property() { sed -n "s/^$1\t//p" /run/properties | tail -n 1; }
row() { printf '<tr><th>%s</th><td>%s</td></tr>\n' "$1" "$2"; }
escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }

title=$(property title)
title=${title:-Hypostyle demo appliance}
read -r up _ </proc/uptime
memory=$(awk '/^MemTotal/ { total = $2 } /^MemAvailable/ { free = $2 }
  END { printf "%d MiB, %d MiB of it free", total / 1024, free / 1024 }' /proc/meminfo)
cards=$(for path in /sys/class/net/*; do
  [ -e "$path/device" ] || continue
  name=${path##*/}
  driver=$(readlink -f "$path/device/driver")
  address=$(ip -4 -o addr show dev "$name" | awk '{ print $4; exit }')
  echo "$name: ${address:-no address} ($(cat "$path/address"), ${driver##*/})<br>"
done)
disks=$(for path in /sys/block/*; do
  [ -e "$path/device" ] || continue
  echo "${path##*/}: $(($(cat "$path/size") / 2048)) MiB<br>"
done)

printf 'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n'
cat <<HEAD
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; color: #1b2733 }
  h1 { border-bottom: 4px solid #b8860b; padding-bottom: .3rem }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #d6dde4 }
  th { width: 10rem; font-weight: 600 }
</style>
<h1>$title</h1>
<table>
HEAD
row 'Host name' "$(hostname | escape)"
row 'Network' "$cards"
row 'Disks' "$disks"
row 'Up for' "${up%.*} s"
row 'Memory' "$memory"
row 'Processors' "$(nproc)"
row 'Kernel' "$(uname -r | escape)"
row 'Deployed' "$(escape </run/deployed)"
while IFS='	' read -r key value; do row "Property $key" "$value"; done </run/properties
echo '</table>'
