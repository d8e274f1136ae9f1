import { type CompletionPlace, namedArguments } from './command-tree.ts';

export type Shell = 'bash' | 'zsh' | 'fish';
export const shells: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** The script that makes a shell complete `hypo`. Names of objects are asked of the server while typing. */
export function completionScript(shell: Shell, places: readonly CompletionPlace[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](places);
}

const listNames = 'hypo __names';
const isNamed = (argument: string) => namedArguments.some((kind) => kind === argument);

function bashScript(places: readonly CompletionPlace[]): string {
  const cases = places.map(({ path, commands, options, argument }) => {
    const words = commands.map(({ name }) => name).join(' ');
    const flags = options.map(({ flag }) => flag).join(' ');
    return `    ${quoted(path)}) words=${quoted(words)}; flags=${quoted(flags)}; argument=${argument} ;;`;
  });
  return `# hypo completion for bash: source <(hypo completion bash)
_hypo_place() {
  # The commands among the words so far; options and their values are none.
  place=""
  local word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${place:+$place }$word" in
${places
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      ${quoted(path)}) place=${quoted(path)} ;;`)
  .join('\n')}
    esac
  done
}
_hypo() {
  local place words flags argument current="\${COMP_WORDS[COMP_CWORD]}"
  _hypo_place
  case "$place" in
${cases.join('\n')}
  esac
  if [[ $current == -* ]]; then words=$flags argument=none; fi
  if [[ $argument != file && $argument != none ]]; then
    local IFS=$'\\n'
    COMPREPLY=($(compgen -W "$(${listNames} $argument 2>/dev/null)" -- "$current"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ $argument == file ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _hypo hypo
`;
}

function zshScript(places: readonly CompletionPlace[]): string {
  const cases = places.map(({ path, commands, options, argument }) => {
    const entries = [
      ...commands.map(({ name, description }) => `${name}:${description}`),
      ...options.map(({ flag, description }) => `${flag}:${description}`),
    ];
    const more = isNamed(argument) ? `; kind=${argument}` : argument === 'file' ? '; files=1' : '';
    return `    ${quoted(path)}) entries=(${entries.map(quoted).join(' ')})${more} ;;`;
  });
  return `#compdef hypo
# hypo completion for zsh: source <(hypo completion zsh)
_hypo() {
  local place="" word kind="" files=0
  local -a entries names
  for word in \${words[2,CURRENT-1]}; do
    case "\${place:+$place }$word" in
${places
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      ${quoted(path)}) place=${quoted(path)} ;;`)
  .join('\n')}
    esac
  done
  case "$place" in
${cases.join('\n')}
  esac
  if [[ \${words[CURRENT]} != -* ]]; then
    if [[ -n $kind ]]; then names=("\${(@f)$(${listNames} $kind 2>/dev/null)}"); compadd -a names; return; fi
    if (( files )); then _files; return; fi
  fi
  _describe hypo entries
}
if [[ $funcstack[1] == _hypo ]]; then _hypo "$@"; else compdef _hypo hypo; fi
`;
}

function fishScript(places: readonly CompletionPlace[]): string {
  const lines = places.flatMap(({ path, commands, options, argument }) => {
    const names = path === '' ? [] : path.split(' ');
    const condition = [
      ...names.map((name) => `__fish_seen_subcommand_from ${name}`),
      ...(commands.length > 0 ? [`not __fish_seen_subcommand_from ${commands.map(({ name }) => name).join(' ')}`] : []),
    ].join('; and ');
    const when = condition === '' ? '' : ` -n ${quoted(condition)}`;
    return [
      ...commands.map(({ name, description }) => `complete -c hypo${when} -f -a ${name} -d ${quoted(description)}`),
      ...options.map(
        ({ flag, description }) => `complete -c hypo${when} -l ${flag.slice(2)} -d ${quoted(description)}`,
      ),
      ...(isNamed(argument)
        ? [`complete -c hypo${when} -f -a ${quoted(`(${listNames} ${argument} 2>/dev/null)`)}`]
        : []),
    ];
  });
  return `# hypo completion for fish: hypo completion fish | source\n${lines.join('\n')}\n`;
}

/** A word that a shell takes as it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
