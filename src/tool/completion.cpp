#include "tool/completion.hpp"

#include <CLI/App.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace faultline::tool {
namespace {

/// What an option takes.
enum class Value { none, one_of, file, directory, other };

struct Choice {
    std::string option;  ///< With its dashes.
    std::string description;
    Value value = Value::none;
    std::string names;  ///< For one_of: separated by spaces.
};

Value value_of(const CLI::Option& option) {
    if (option.get_items_expected_max() == 0) return Value::none;
    const std::string type = option.get_type_name();
    if (type.starts_with('{')) return Value::one_of;
    if (type == "FILE") return Value::file;
    return type == "DIR" ? Value::directory : Value::other;
}

/// Returns the names in "{a,b}", separated by spaces.
std::string names_in(std::string type) {
    type = type.substr(1, type.find('}') - 1);  // a check may add its own text
    std::replace(type.begin(), type.end(), ',', ' ');
    return type;
}

/// Returns what the command takes beside options, if it is one of several names.
std::string names_of_argument(const CLI::App& command) {
    for (const CLI::Option* const option : command.get_options()) {
        if (option->get_positional() && value_of(*option) == Value::one_of) return names_in(option->get_type_name());
    }
    return {};
}

std::vector<Choice> choices_of(const CLI::App& command) {
    std::vector<Choice> choices;
    for (const CLI::Option* const option : command.get_options()) {
        const Value value = value_of(*option);
        const std::string names = value == Value::one_of ? names_in(option->get_type_name()) : std::string{};
        const auto add = [&](const std::string& text) {
            choices.push_back({text, option->get_description(), value, names});
        };
        for (const std::string& name : option->get_lnames()) add("--" + name);
        for (const std::string& name : option->get_snames()) add("-" + name);
    }
    return choices;
}

/// The commands that run a program, whose own command line follows.
bool runs_a_program(const CLI::App& command) { return command.get_name() == "run" || command.get_name() == "record"; }

std::string joined(const std::vector<Choice>& choices, const std::function<bool(const Choice&)>& chosen,
                   const std::string& between) {
    std::string text;
    for (const Choice& one : choices) {
        if (chosen(one)) text += (text.empty() ? "" : between) + one.option;
    }
    return text;
}

std::string names_of_commands(const CLI::App& app) {
    std::string text;
    for (const CLI::App* const command : app.get_subcommands({})) text += command->get_name() + " ";
    return text + "help";
}

// ---- bash

std::string bash_values(const std::vector<Choice>& choices) {
    std::string cases;
    for (const Choice& one : choices) {
        if (one.value != Value::one_of) continue;
        cases += "                " + one.option + ") values='" + one.names + "' ;;\n";
    }
    const auto add_kind = [&](Value value, const char* action) {
        const std::string options = joined(
            choices, [value](const Choice& one) { return one.value == value; }, "|");
        if (!options.empty()) cases += "                " + options + ") " + action + " ;;\n";
    };
    add_kind(Value::file, "kind=file");
    add_kind(Value::directory, "kind=directory");
    add_kind(Value::other, "kind=text");
    return cases;
}

std::string bash_command(const CLI::App& command) {
    const std::vector<Choice> choices = choices_of(command);
    const std::string all = joined(
        choices, [](const Choice&) { return true; }, " ");
    return "        " + command.get_name() + ")\n            options='" + all +
           "'\n            [[ $word == -* ]] || values='" + names_of_argument(command) +
           "'\n            case $option in\n" + bash_values(choices) + "            esac\n            ;;\n";
}

constexpr const char* kBashBegin = R"(# bash completion of faultline, made by `faultline completion bash`.
_faultline() {
    local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local options='' values='' kind='' i
    COMPREPLY=()
    # The shell splits --option=value into three words.
    if [[ $word == '=' ]]; then word=''; elif [[ $option == '=' ]]; then option=${COMP_WORDS[COMP_CWORD-2]}; fi
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W ')";

constexpr const char* kBashProgram = R"(' -- "$word"))
        return
    fi
    case $command in
        )";

// A program begins with the first word that is neither an option nor its value, or after "--".
constexpr const char* kBashProgramEnd = R"()
            for ((i = 2; i < COMP_CWORD; ++i)); do
                case ${COMP_WORDS[i]} in
                    --) ((++i)); break ;;
                    -*) ;;
                    =) ((++i)) ;;
                    *) case ${COMP_WORDS[i-1]} in -*) [[ ${COMP_WORDS[i-1]} =~ ^()";

constexpr const char* kBashEnd = R"(    esac
    if [[ -n $values ]]; then
        COMPREPLY=($(compgen -W "$values" -- "$word"))
    elif [[ $kind == file ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    elif [[ $kind == directory ]]; then
        COMPREPLY=($(compgen -d -- "$word"))
    elif [[ $kind == '' && $word == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    elif [[ $kind == '' ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _faultline faultline
)";

/// Completes the program of `run` and `record` as a command line of its own.
std::string bash_program(const CLI::App& app) {
    std::string commands;
    std::string with_value;
    for (const CLI::App* const command : app.get_subcommands({})) {
        if (!runs_a_program(*command)) continue;
        commands += (commands.empty() ? "" : "|") + command->get_name();
        with_value += (with_value.empty() ? "" : "|") +
                      joined(
                          choices_of(*command), [](const Choice& one) { return one.value != Value::none; }, "|");
    }
    return kBashProgram + commands + kBashProgramEnd + with_value + R"()$ ]] || break ;; *) break ;; esac ;;
                esac
            done
            if ((i < COMP_CWORD)) || [[ ${COMP_WORDS[COMP_CWORD-1]} == -- ]]; then
                if declare -F _command_offset >/dev/null; then _command_offset "$i"; else COMPREPLY=($(compgen -f -- "$word")); fi
                return
            fi
            ;;
    esac
    case $command in
)";
}

// ---- zsh

/// Quotes a text for a pair of single quotes within an argument of _arguments.
std::string quoted(const std::string& text) {
    std::string result;
    for (const char letter : text) {
        if (letter == '\'') {
            result += "'\\''";
        } else if (letter == ':' || letter == '[' || letter == ']') {
            result += std::string{"\\"} + letter;
        } else {
            result += letter;
        }
    }
    return result;
}

std::string zsh_option(const Choice& one) {
    std::string text = "                '" + one.option;
    if (one.value != Value::none) text += one.option.starts_with("--") ? "=" : "+";
    text += "[" + quoted(one.description) + "]";
    switch (one.value) {
        case Value::none:
            break;
        case Value::one_of:
            text += ":value:(" + one.names + ")";
            break;
        case Value::file:
            text += ":file:_files";
            break;
        case Value::directory:
            text += ":directory:_files -/";
            break;
        case Value::other:
            text += ":value:";
            break;
    }
    return text + "' \\\n";
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
    std::string script = kBashBegin + names_of_commands(app) + bash_program(app);
    for (const CLI::App* const command : app.get_subcommands({})) script += bash_command(*command);
    return script + "        help) options=''; values='" + names_of_commands(app) + "' ;;\n" + kBashEnd;
}

std::string zsh_completion(const CLI::App& app) {
    std::string script =
        "#compdef faultline\n# zsh completion of faultline, made by `faultline completion zsh`.\n"
        "_faultline() {\n    if ((CURRENT == 2)); then\n        local -a commands=(\n";
    for (const CLI::App* const command : app.get_subcommands({})) {
        script += "            '" + command->get_name() + ":" + quoted(command->get_description()) + "'\n";
    }
    script +=
        "            'help:Explains a command'\n        )\n        _describe command commands\n        return\n"
        "    fi\n    local command=$words[2]\n    shift words\n    ((CURRENT--))\n    case $command in\n";
    for (const CLI::App* const command : app.get_subcommands({})) {
        script += "        " + command->get_name() + ")\n            _arguments \\\n";
        for (const Choice& one : choices_of(*command)) script += zsh_option(one);
        const std::string names = names_of_argument(*command);
        const std::string argument = runs_a_program(*command) ? "*::program:_normal"
                                     : names.empty()          ? "*:file:_files"
                                                              : ":value:(" + names + ")";
        script += "                '" + argument + "'\n";
        script += "            ;;\n";
    }
    return script + "    esac\n}\n_faultline \"$@\"\n";
}

}  // namespace faultline::tool
