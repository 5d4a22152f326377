#include "support/command_line.hpp"

#include "run/command_options.hpp"
#include "support/exit_code.hpp"
#include "support/interrupt.hpp"
#include "support/live_line.hpp"

#include <faultline/config.hpp>
#include <faultline/pager.hpp>
#include <faultline/version.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace faultline::demo {
namespace {

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
    config.delivery = delivery;
    config.eviction = eviction;
    config.replacement = replacement;
    config.swap_directory = swap_directory;
    return config;
}

CLI::Option* add_size(CLI::App& app, const std::string& option, std::size_t& bytes, const std::string& description) {
    constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
    // 0 is allowed where it is the default, and means none.
    const run::SizeRange range =
        bytes == 0 ? run::SizeRange{0, kMost, "any size"} : run::SizeRange{1, kMost, "sizes above 0"};
    return run::add_size(app, option, bytes, range, description);
}

void add_pager_options(CLI::App& app, PagerOptions& options) {
    add_size(app, "--resident", options.resident, "Limit of resident memory");
    add_size(app, "--compressed", options.compressed, "Limit of additional memory for compressed pages; 0: none");
    app.add_option("--record", options.record, "Record the faults to this file, a page trace for policy_replay")
        ->type_name("FILE");
    add_size(app, "--page-size", options.page_size, "Bytes of one page: a power of two from 4K to 2M");
    run::add_choice(app, "--delivery", options.delivery, "How faults arrive");
    run::add_choice(app, "--eviction", options.eviction, "How pages are evicted");
    run::add_choice(app, "--replacement", options.replacement, "Which pages are evicted");
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
        throw NotPermitted("delivery " + std::string{to_string(config.delivery)} +
                           " is not possible here: " + error.what());
    }
}

int run_program(const std::string& program_name, const std::function<int()>& program) {
    return finish_output(program_name, exit_code_of(program_name, program));
}

}  // namespace faultline::demo
