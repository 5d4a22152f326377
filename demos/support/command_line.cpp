#include "support/command_line.hpp"

#include "run/size_text.hpp"
#include "support/exit_code.hpp"
#include "support/interrupt.hpp"
#include "support/live_line.hpp"

#include <faultline/config.hpp>
#include <faultline/pager.hpp>
#include <faultline/types.hpp>
#include <faultline/version.hpp>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace faultline::demo {
namespace {

/// Returns the value whose name is `text`. The parser has refused all other names.
template <typename Value>
Value named(std::string_view text, std::initializer_list<Value> values) {
    for (const Value value : values) {
        if (text == name(value)) return value;
    }
    throw std::invalid_argument("'" + std::string{text} + "' is not known");
}

template <typename Value>
std::vector<std::string> names(std::initializer_list<Value> values) {
    std::vector<std::string> result;
    for (const Value value : values) result.emplace_back(name(value));
    return result;
}

constexpr std::initializer_list<Delivery> kDeliveries{Delivery::automatic, Delivery::uffd_threads,
                                                      Delivery::uffd_signal, Delivery::sigsegv};
constexpr std::initializer_list<Eviction> kEvictions{Eviction::automatic, Eviction::move, Eviction::copy,
                                                     Eviction::guard, Eviction::protect};
constexpr std::initializer_list<Replacement> kReplacements{Replacement::second_chance, Replacement::fifo};

void complain(const std::string& program_name, const char* what) {
    static_cast<void>(std::fprintf(stderr, "%s: %s\n", program_name.c_str(), what));
}

int finish_output(const std::string& program_name, int code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    complain(program_name, "standard output could not be written");
    return code == kExitOk ? kExitUnusable : code;
}

int exit_code_of(const std::string& program_name, const std::function<int()>& program) {
    try {
        return program();
    } catch (const NotPermitted& error) {
        complain(program_name, error.what());
        return kExitSkipped;
    } catch (const Interrupted& error) {
        complain(program_name, error.what());
        return kExitInterrupted;
    } catch (const std::invalid_argument& error) {
        complain(program_name, error.what());
        complain(program_name, "--help lists the options");
        return kExitUnusable;
    } catch (const std::bad_alloc&) {
        complain(program_name, "out of memory");
        return kExitUnusable;
    } catch (const std::exception& error) {
        complain(program_name, error.what());
        return kExitUnusable;
    }
}

}  // namespace

Config PagerOptions::config() const {
    Config config;
    config.resident_limit = resident;
    config.compressed_limit = compressed;
    config.trace_file = record;
    config.delivery = named(delivery, kDeliveries);
    config.eviction = named(eviction, kEvictions);
    config.replacement = named(replacement, kReplacements);
    config.swap_directory = swap_directory;
    return config;
}

CLI::Option* add_size(CLI::App& app, const std::string& option, std::size_t& bytes, const std::string& description) {
    // 0 is allowed where it is the default, and means none.
    const auto parse = [&bytes, option, least = bytes == 0 ? 0U : 1U](const std::string& text) {
        const run::ParsedSize size = run::parse_size(text);
        if (size.problem != nullptr) throw CLI::ValidationError(option, "'" + text + "' " + size.problem);
        if (size.bytes < least) throw CLI::ValidationError(option, "'" + text + "' must not be zero");
        bytes = size.bytes;
    };
    return app.add_option_function<std::string>(option, parse, description)
        ->type_name("SIZE")
        ->default_str(run::size_text(bytes));
}

void add_pager_options(CLI::App& app, PagerOptions& options) {
    add_size(app, "--resident", options.resident, "Limit of resident memory");
    add_size(app, "--compressed", options.compressed, "Limit of additional memory for compressed pages; 0: none");
    app.add_option("--record", options.record, "Record the faults to this file, a page trace for policy_replay")
        ->type_name("FILE");
    add_size(app, "--page-size", options.page_size, "Bytes of one page: a power of two from 4K to 2M");
    app.add_option("--delivery", options.delivery, "How faults arrive")
        ->check(CLI::IsMember(names(kDeliveries)))
        ->capture_default_str();
    app.add_option("--eviction", options.eviction, "How pages are evicted")
        ->check(CLI::IsMember(names(kEvictions)))
        ->capture_default_str();
    app.add_option("--replacement", options.replacement, "Which pages are evicted")
        ->check(CLI::IsMember(names(kReplacements)))
        ->capture_default_str();
    app.add_option("--swap", options.swap_directory, "Directory of the swap file (default: $TMPDIR, else /var/tmp)")
        ->type_name("DIR");
}

bool parse_command_line(CLI::App& app, int argc, const char* const* argv) {
    app.set_version_flag("--version", FAULTLINE_VERSION_STRING);
    try {
        app.parse(argc, argv);
        return true;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0) throw std::invalid_argument(error.what());
        app.exit(error);
        return false;
    }
}

Pager open_pager(Config config, LiveLine& line) {
    config.log = [&line](LogLevel level, std::string_view message) {
        if (level >= LogLevel::warning) line.warn(message);
    };
    try {
        return Pager{config};
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::operation_not_permitted && error.code() != std::errc::function_not_supported) {
            throw;
        }
        throw NotPermitted("delivery " + std::string{name(config.delivery)} + " is not possible here: " + error.what());
    }
}

int run_program(const std::string& program_name, const std::function<int()>& program) {
    return finish_output(program_name, exit_code_of(program_name, program));
}

}  // namespace faultline::demo
