// `completion SHELL`: the script that lets a shell complete commands, flags and names of objects.
import type { Command } from "../command.ts";
import { EXIT } from "../exit-codes.ts";

const BASH = `_kubectl_holdfast() {
  local words
  words="$(kubectl-holdfast __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | grep -v '^:' | cut -f1)"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _kubectl_holdfast kubectl-holdfast
`;

const ZSH = `#compdef kubectl-holdfast
_kubectl_holdfast() {
  local -a found
  found=(\${(f)"$(kubectl-holdfast __complete "\${(@)words[2,CURRENT]}" 2>/dev/null | grep -v '^:' | sed -e 's/:/\\\\:/g' -e 's/\\t/:/')"})
  _describe 'kubectl holdfast' found
}
compdef _kubectl_holdfast kubectl-holdfast
`;

const FISH = `complete -c kubectl-holdfast -f -a '(kubectl-holdfast __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null | string match -rv "^:")'
`;

const SCRIPTS: ReadonlyMap<string, string> = new Map([
  ["bash", BASH],
  ["zsh", ZSH],
  ["fish", FISH],
]);

export const completion: Command = {
  name: "completion",
  summary: "Completion for bash, zsh or fish.",
  about: [
    "Prints a script for your shell that completes kubectl-holdfast: commands, flags, and the names of nodes, VMs and namespaces.",
    "kubectl itself completes `kubectl holdfast …` where it finds the program kubectl_complete-holdfast beside kubectl-holdfast; the package installs both.",
  ],
  args: [{ name: "SHELL", help: "bash, zsh or fish.", completes: () => [...SCRIPTS.keys()] }],
  flags: [],
  examples: [
    ["source <(kubectl-holdfast completion bash)", "in ~/.bashrc"],
    ["kubectl-holdfast completion fish > ~/.config/fish/completions/kubectl-holdfast.fish", "once"],
  ],
  run: async (context) => {
    await Promise.resolve();
    const [shell = ""] = context.words;
    const script = SCRIPTS.get(shell);
    if (script === undefined)
      return context.fail(
        `no completion for ${shell}; there is one for ${[...SCRIPTS.keys()].join(", ")}`,
        EXIT.usage,
      );
    context.print(script);
    return EXIT.ok;
  },
};
