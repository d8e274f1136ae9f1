/**
 * Shell scripts that the guest's agent runs, for any POSIX shell with the usual tools or busybox. Their text never
 * changes: everything that a client gives comes on standard input, a line each, encoded by `encodeParameter`, so that
 * nothing of it is code, and no password is ever in an argument, a file or an environment.
 */

/** Exit codes of ours, which programs of a guest do not use. */
export const exitCodes = {
  notFound: 100,
  exists: 101,
  notDirectory: 102,
  notFile: 103,
  denied: 104,
  notEmpty: 105,
  noProcess: 106,
  symbolicLink: 107,
  invalidLogin: 110,
  cannotCheck: 111,
} as const;

/** A line that `take` turns back into the same bytes: `printf %b` with everything unusual in octal. */
export function encodeParameter(value: string): string {
  let line = '';
  for (const byte of Buffer.from(value, 'utf8')) {
    const character = String.fromCharCode(byte);
    line += /[A-Za-z0-9_./:=,@+-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, '0')}`;
  }
  return `${line}\n`;
}

/** `take` reads a parameter into `value`. Shells read a pipe byte by byte, so what follows is left for programs. */
const take = `take() {
  IFS= read -r value || exit 120
  value=$(printf '%b.' "$value")
  value=\${value%.}
}
`;

/**
 * Runs first, as the administrator: checks the password, and becomes the user. Parameters: user, password, and `check`
 * or `trust`. The operation is its argument; what follows on the input is for that.
 */
export const launcher = `PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
operation=$1
${take}take
user=$value
take
password=$value
take
mode=$value
in_file() {
  while IFS= read -r line; do
    case $line in "$user":*) printf '%s\\n' "$line"; return 0 ;; esac
  done <"$1"
  return 1
}
entry=$(getent passwd "$user" 2>/dev/null || in_file /etc/passwd)
[ -n "$entry" ] || exit ${exitCodes.invalidLogin}
IFS=: read -r name secret uid gid comment home shell <<END
$entry
END
compare() {
  case $1 in
    openssl) computed=$(printf '%s\\n' "$password" | openssl passwd "-$kind" -salt "$salt" -stdin 2>/dev/null) ;;
    *)
      case $kind in 1) method=md5 ;; 5) method=sha256 ;; 6) method=sha512 ;; *) return 1 ;; esac
      computed=$(printf '%s\\n' "$password" | mkpasswd -P 0 -m $method -S "$salt" 2>/dev/null)
      ;;
  esac
  case $computed in '$'*) ;; *) return 1 ;; esac
  if [ "$computed" = "$hash" ]; then verdict=good; else verdict=bad; fi
}
check() {
  verdict=
  hash= days=
  if known=$(in_file /etc/shadow 2>/dev/null); then
    IFS=: read -r name hash changed least most warning inactive days rest <<END
$known
END
    case $hash in '' | '!'* | '*'*) verdict=bad; return ;; esac
    today=$(($(date +%s) / 86400))
    if [ -n "$days" ] && [ $today -ge "$days" ]; then verdict=bad; return; fi
    # A password that has to be changed first, or was due for that, is good for nothing else.
    if [ "$changed" = 0 ]; then verdict=bad; return; fi
    if [ -n "$changed" ] && [ "\${most:--1}" -ge 0 ] && [ $today -gt $((changed + most)) ]; then verdict=bad; return; fi
    for helper in /usr/sbin/unix_chkpwd /sbin/unix_chkpwd; do
      [ -x $helper ] || continue
      if printf '%s\\0' "$password" | $helper "$user" nonull >/dev/null 2>&1; then verdict=good; else verdict=bad; fi
      return
    done
    kind=\${hash#?}
    kind=\${kind%%'$'*}
    salt=\${hash#?*'$'}
    salt=\${salt%%'$'*}
    case $salt in rounds=*) ;; *)
      for program in openssl mkpasswd; do
        command -v $program >/dev/null 2>&1 && compare $program && return
      done ;;
    esac
  fi
  # Accounts of a directory: asked for as somebody who has to give the password.
  if setpriv --reuid 65534 --regid 65534 --clear-groups true 2>/dev/null; then
    if printf '%s\\n' "$password" |
      setpriv --reuid 65534 --regid 65534 --clear-groups su -s /bin/sh -c true "$user" >/dev/null 2>&1; then
      verdict=good
    else
      verdict=bad
    fi
  fi
}
if [ "$mode" != trust ]; then
  check
  case $verdict in good) ;; bad) exit ${exitCodes.invalidLogin} ;; *) exit ${exitCodes.cannotCheck} ;; esac
fi
password=
cd "$home" 2>/dev/null || cd /
[ -n "$shell" ] || shell=/bin/sh
set -- env -i "HOME=$home" "USER=$user" "LOGNAME=$user" "SHELL=$shell" "PATH=$PATH"
if [ "$uid" = 0 ]; then exec "$@" /bin/sh -c "$operation" hypostyle; fi
if setpriv --reuid "$uid" --regid "$gid" --init-groups true 2>/dev/null; then
  exec setpriv --reuid "$uid" --regid "$gid" --init-groups "$@" /bin/sh -c "$operation" hypostyle
fi
exec "$@" su -s /bin/sh "$user" -c "$operation" hypostyle
`;

const begin = `LC_ALL=C
export LC_ALL
${take}there() { [ -e "$1" ] || [ -L "$1" ]; }
`;

/** An operation that the launcher runs as the user. */
const operation = (script: string) => begin + script;

/** Where a guest keeps the aliases of its accounts. */
const aliasFolder = '/var/lib/hypostyle/aliases';

/** What the user does; parameters in the order in which they are taken. */
export const operations = {
  /** Nothing, which the launcher's check suffices for. */
  nothing: operation(''),
  /** Path. */
  checkProgram: operation(`take
program=$value
take
directory=$value
there "$program" || exit ${exitCodes.notFound}
[ ! -d "$program" ] || exit ${exitCodes.notFile}
[ -x "$program" ] || exit ${exitCodes.denied}
[ -z "$directory" ] || cd "$directory" 2>/dev/null || exit ${exitCodes.notDirectory}
`),
  /** Program, how the shell is to run it, directory, variables. */
  startProgram: `${take}take
program=$value
take
command=$value
take
[ -z "$value" ] || cd "$value" || exit 126
while IFS= read -r value; do
  value=$(printf '%b.' "$value")
  export "\${value%.}"
done
if [ -x /bin/bash ]; then exec /bin/bash -c "$command" "$program" </dev/null >/dev/null 2>&1; fi
exec /bin/sh -c "$command" "$program" </dev/null >/dev/null 2>&1
`,
  /** What separates the parts. A process that ends as it is read makes `tail` fail, and is not in the list. */
  listProcesses: operation(`take
cd /proc || exit 1
grep '^btime' stat
echo "$value"
getconf CLK_TCK 2>/dev/null || echo 100
echo "$value"
getent passwd 2>/dev/null || cat /etc/passwd
echo "$value"
grep -sH '^Uid:' [0-9]*/status
echo "$value"
tail -c +1 [0-9]*/stat [0-9]*/cmdline 2>/dev/null || :
`),
  /** Process. It gets five seconds to end by itself. */
  terminateProcess: operation(`take
pid=$value
gone() { [ ! -d "/proc/$pid" ] || grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null; }
gone && exit ${exitCodes.noProcess}
kill -TERM "$pid" 2>/dev/null || { gone && exit 0; exit ${exitCodes.denied}; }
rounds=50
while [ $rounds -gt 0 ]; do
  gone && exit 0
  sleep 0.1 2>/dev/null || { sleep 1; rounds=$((rounds - 9)); }
  rounds=$((rounds - 1))
done
kill -KILL "$pid" 2>/dev/null || gone
`),
  readEnvironment: operation('exec cat /proc/self/environ\n').replace('LC_ALL=C\nexport LC_ALL\n', ''),
  /** Path, and `parents` or nothing. */
  makeDirectory: operation(`take
path=$value
take
there "$path" && exit ${exitCodes.exists}
if [ "$value" = parents ]; then exec mkdir -p -- "$path"; fi
exec mkdir -- "$path"
`),
  deleteFile: operation(`take
there "$value" || exit ${exitCodes.notFound}
[ -L "$value" ] || [ ! -d "$value" ] || exit ${exitCodes.notFile}
exec rm -f -- "$value"
`),
  /** Path, and `recursive` or nothing. */
  deleteDirectory: operation(`take
path=$value
take
there "$path" || exit ${exitCodes.notFound}
[ -d "$path" ] && [ ! -L "$path" ] || exit ${exitCodes.notDirectory}
if [ "$value" = recursive ]; then exec rm -rf -- "$path"; fi
exec rmdir -- "$path"
`),
  /** From, to. */
  moveDirectory: operation(`take
from=$value
take
there "$from" || exit ${exitCodes.notFound}
[ -d "$from" ] && [ ! -L "$from" ] || exit ${exitCodes.notDirectory}
there "$value" && exit ${exitCodes.exists}
exec mv -- "$from" "$value"
`),
  /** From, to, and `overwrite` or nothing. */
  moveFile: operation(`take
from=$value
take
to=$value
take
there "$from" || exit ${exitCodes.notFound}
[ -L "$from" ] || [ ! -d "$from" ] || exit ${exitCodes.notFile}
[ ! -d "$to" ] || exit ${exitCodes.notFile}
if [ "$value" != overwrite ] && there "$to"; then exit ${exitCodes.exists}; fi
exec mv -f -- "$from" "$to"
`),
  /** Folder (nothing: where such files go), name, and `directory` or nothing. */
  createTemporary: operation(`take
directory=\${value:-\${TMPDIR:-/tmp}}
take
name=$value
take
[ -d "$directory" ] || exit ${exitCodes.notFound}
path=\${directory%/}/$name
umask 077
if [ "$value" = directory ]; then mkdir -- "$path" || exit; else
  set -C
  : >"$path" || exit
fi
printf '%s' "$path"
`),
  /** Path. `d` or `f`, then names, each with a zero byte after it. */
  listNames: operation(`take
there "$value" || exit ${exitCodes.notFound}
if [ -d "$value" ]; then
  cd "$value" 2>/dev/null && [ -r . ] || exit ${exitCodes.denied}
  printf 'd'
  for name in .[!.]* ..?* *; do
    if there "$name"; then printf '%s\\0' "$name"; fi
  done
else
  printf 'f'
fi
`),
  /** Folder, then names. What links name, each with a zero byte after it, then a line each of facts. */
  describeFiles: operation(`take
[ -z "$value" ] || cd "$value" || exit
set --
while IFS= read -r value; do
  value=$(printf '%b.' "$value")
  set -- "$@" "\${value%.}"
done
for name do
  if [ -L "$name" ]; then printf '%s' "$(readlink -- "$name")"; fi
  printf '\\0'
done
form='%f %s %u %g %X %Y'
if facts=$(stat -c "$form" -- "$@" 2>/dev/null); then
  printf '%s\\n' "$facts"
else
  for name do stat -c "$form" -- "$name" 2>/dev/null || echo -; done
fi
`),
  /** Path, then mode, owner, group, access and modification time, each of them perhaps nothing. An owner's change takes bits of the mode away. */
  changeAttributes: operation(`take
path=$value
there "$path" || exit ${exitCodes.notFound}
take
mode=$value
take
[ -z "$value" ] || chown -- "$value" "$path" || exit
take
[ -z "$value" ] || chgrp -- "$value" "$path" || exit
[ -z "$mode" ] || chmod -- "$mode" "$path" || exit
take
[ -z "$value" ] || touch -a -d "@$value" -- "$path" || exit
take
[ -z "$value" ] || touch -m -d "@$value" -- "$path" || exit
`),
  /** Path. Facts of a file that can be read. */
  describeDownload: operation(`take
there "$value" || exit ${exitCodes.notFound}
[ ! -d "$value" ] || exit ${exitCodes.notFile}
[ -r "$value" ] || exit ${exitCodes.denied}
[ -f "$value" ] || exit ${exitCodes.notFile}
exec stat -L -c '%f %s %u %g %X %Y' -- "$value"
`),
  /** Path, block of 64 KiB to begin with, how many. */
  readBlocks: operation(`take
path=$value
take
first=$value
take
exec dd "if=$path" bs=65536 "skip=$first" "count=$value" 2>/dev/null
`),
  /** Path, and `overwrite` or nothing. */
  checkUpload: operation(`take
path=$value
take
case $path in */*) directory=\${path%/*}/ ;; *) directory=./ ;; esac
[ ! -L "$path" ] || exit ${exitCodes.symbolicLink}
[ ! -d "$path" ] || exit ${exitCodes.notFile}
[ -d "$directory" ] || exit ${exitCodes.notFound}
if [ "$value" != overwrite ] && there "$path"; then exit ${exitCodes.exists}; fi
[ -w "$directory" ] && [ -x "$directory" ] || exit ${exitCodes.denied}
`),
  /** Path of a new file, which only its owner reads. */
  beginUpload: operation(`take
umask 077
set -C
: >"$value"
`),
  /** Path, then bytes. */
  appendUpload: operation(`take
exec cat >>"$value"
`),
  /** From, to, `overwrite` or nothing, and attributes as `changeAttributes` has them; the mode of a file that is replaced is kept. */
  finishUpload: operation(`take
from=$value
take
to=$value
take
overwrite=$value
take
mode=$value
if [ -z "$mode" ]; then mode=$(stat -c %a -- "$to" 2>/dev/null) || mode=644; fi
take
[ -z "$value" ] || chown -- "$value" "$from" || exit
take
[ -z "$value" ] || chgrp -- "$value" "$from" || exit
chmod -- "$mode" "$from" || exit
take
[ -z "$value" ] || touch -a -d "@$value" -- "$from" || exit
take
[ -z "$value" ] || touch -m -d "@$value" -- "$from" || exit
[ ! -d "$to" ] || exit ${exitCodes.notFile}
if [ "$overwrite" = overwrite ]; then exec mv -f -- "$from" "$to"; fi
ln -- "$from" "$to" || exit
exec rm -f -- "$from"
`),
  /** Account. What is kept of its aliases; nothing where nothing is. */
  readAliases: operation(`take
id -u -- "$value" >/dev/null 2>&1 || exit ${exitCodes.notFound}
cat "${aliasFolder}/$value.json" 2>/dev/null || :
`),
  /** What is kept of all, each after its account's name and a zero byte, and with a zero byte after it. */
  readAllAliases: operation(`cd ${aliasFolder} 2>/dev/null || exit 0
for file in *.json; do
  [ -f "$file" ] || continue
  printf '%s\\0' "\${file%.json}"
  cat -- "$file"
  printf '\\0'
done
`),
  /** Account, then what to keep. */
  writeAliases: operation(`take
mkdir -p ${aliasFolder} || exit
chmod 755 ${aliasFolder}
umask 022
cat >"${aliasFolder}/.$value.new" && mv -f "${aliasFolder}/.$value.new" "${aliasFolder}/$value.json"
`),
  abandonUpload: operation(`take
exec rm -f -- "$value"
`),
} as const;

export type GuestOperation = keyof typeof operations;
