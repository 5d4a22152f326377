#include "pager/log/standard_error_log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace faultline::pager {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

}  // namespace

void say_on_standard_error(LogLevel level, std::string_view message) {
    // Never registered with spdlog: faultline must not change the program's own spdlog configuration.
    static const auto logger = [] {
        auto made =
            std::make_shared<spdlog::logger>("faultline", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        made->set_level(spdlog::level::warn);
        return made;
    }();
    logger->log(spdlog_level(level), message);
}

}  // namespace faultline::pager
