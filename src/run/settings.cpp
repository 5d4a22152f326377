#include "run/settings.hpp"

#include "run/size_text.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace faultline::run {
namespace {

constexpr std::string_view kMemory = "FAULTLINE_MEMORY";
constexpr std::string_view kMemoryPerProcess = "FAULTLINE_MEMORY_PER_PROCESS";
constexpr std::string_view kResident = "FAULTLINE_RESIDENT";
constexpr std::string_view kCompressed = "FAULTLINE_COMPRESSED";
constexpr std::string_view kHeap = "FAULTLINE_HEAP";
constexpr std::string_view kMappings = "FAULTLINE_MAPPINGS";
constexpr std::string_view kSwap = "FAULTLINE_SWAP";
constexpr std::string_view kDelivery = "FAULTLINE_DELIVERY";
constexpr std::string_view kStatus = "FAULTLINE_STATUS";
constexpr std::string_view kRecord = "FAULTLINE_RECORD";
constexpr std::string_view kRecordRate = "FAULTLINE_RECORD_RATE";
constexpr std::string_view kRecordStack = "FAULTLINE_RECORD_STACK";
constexpr std::array kAll{kMemory, kMemoryPerProcess, kResident, kCompressed, kHeap,       kMappings,
                          kSwap,   kDelivery,         kStatus,   kRecord,     kRecordRate, kRecordStack};

std::string_view name_of(std::string_view variable) noexcept { return variable.substr(0, variable.find('=')); }

/// Appends to the text of a problem; the text always ends with a zero byte.
class Sentence {
public:
    explicit Sentence(SettingsProblem& problem) noexcept : problem_{problem} { problem_.text.fill('\0'); }

    Sentence& operator<<(std::string_view words) noexcept {
        const std::size_t taken = std::min(words.size(), problem_.text.size() - 1 - used_);
        std::copy_n(words.begin(), taken, problem_.text.begin() + static_cast<std::ptrdiff_t>(used_));
        used_ += taken;
        return *this;
    }

private:
    SettingsProblem& problem_;
    std::size_t used_ = 0;
};

bool read_size(const char* const* environment, std::string_view name, const SizeRange& range, std::size_t& bytes,
               SettingsProblem& problem) noexcept {
    const std::string_view text = value_of(environment, name);
    if (text.empty()) return true;
    const ParsedSize size = parse_size(text);
    if (size.problem == nullptr && range.contains(size.bytes)) {
        bytes = size.bytes;
        return true;
    }
    Sentence sentence{problem};
    sentence << name << ": '" << text << "' ";
    if (size.problem != nullptr) {
        sentence << size.problem;
    } else {
        sentence << "is outside of " << range.words;
    }
    return false;
}

bool read_switch(const char* const* environment, std::string_view name, std::optional<bool>& on,
                 SettingsProblem& problem) noexcept {
    const std::string_view text = value_of(environment, name);
    if (text.empty()) return true;
    on = text == "on";
    if (*on || text == "off") return true;
    Sentence sentence{problem};
    sentence << name << ": '" << text << "' is neither on nor off";
    return false;
}

bool read_delivery(const char* const* environment, Delivery& delivery, SettingsProblem& problem) noexcept {
    const std::string_view text = value_of(environment, kDelivery);
    if (text.empty()) return true;
    if (const std::optional<Delivery> named = parse<Delivery>(text)) {
        delivery = *named;
        return true;
    }
    Sentence sentence{problem};
    sentence << kDelivery << ": '" << text << "' is not a delivery; expected one of:";
    for (const char* const possible : names<Delivery>()) sentence << " " << possible;
    return false;
}

/// Refuses two limits of which one includes the other.
bool check_limits(const char* const* environment, SettingsProblem& problem) noexcept {
    const auto is_set = [&](std::string_view name) { return !value_of(environment, name).empty(); };
    const bool both = is_set(kMemory) && is_set(kMemoryPerProcess);
    const std::string_view total = is_set(kMemory) ? kMemory : kMemoryPerProcess;
    const std::string_view part = both ? kMemoryPerProcess : is_set(kResident) ? kResident : kCompressed;
    if (!is_set(total) || !is_set(part)) return true;
    Sentence sentence{problem};
    sentence << total << " and " << part << " exclude each other: ";
    sentence << (both ? "the limit is for the processes together, or for each of them"
                      : "the first one is the limit of all memory, and is divided by itself");
    return false;
}

}  // namespace

std::string_view value_of(const char* const* environment, std::string_view name) noexcept {
    for (; environment != nullptr && *environment != nullptr; ++environment) {
        const std::string_view variable{*environment};
        if (variable.size() > name.size() && name_of(variable) == name) return variable.substr(name.size() + 1);
    }
    return {};
}

bool read_settings(const char* const* environment, Settings& settings, SettingsProblem& problem) noexcept {
    if (const std::string_view directory = value_of(environment, kSwap); !directory.empty()) {
        settings.swap_directory = directory;
    }
    if (const std::string_view file = value_of(environment, kStatus); !file.empty()) settings.status_file = file;
    if (const std::string_view file = value_of(environment, kRecord); !file.empty()) settings.record_file = file;
    return check_limits(environment, problem) &&
           read_size(environment, kMemory, Settings::kMemoryRange, settings.memory_limit, problem) &&
           read_size(environment, kMemoryPerProcess, Settings::kMemoryRange, settings.memory_per_process, problem) &&
           read_size(environment, kResident, Settings::kResidentRange, settings.resident_limit, problem) &&
           read_size(environment, kCompressed, Settings::kCompressedRange, settings.compressed_limit, problem) &&
           read_size(environment, kHeap, Settings::kHeapRange, settings.heap_reservation, problem) &&
           read_size(environment, kRecordRate, Settings::kRecordRateRange, settings.record_rate, problem) &&
           read_size(environment, kRecordStack, Settings::kRecordStackRange, settings.record_stack, problem) &&
           read_switch(environment, kMappings, settings.mappings, problem) &&
           read_delivery(environment, settings.delivery, problem);
}

std::vector<std::string> environment_for(const Settings& settings) {
    const Settings defaults;
    std::vector<std::string> variables;
    const auto add = [&](std::string_view name, std::string_view value) {
        variables.push_back(std::string{name} + "=" + std::string{value});
    };
    if (settings.memory_limit != 0) add(kMemory, size_text(settings.memory_limit));
    if (settings.memory_per_process != 0) add(kMemoryPerProcess, size_text(settings.memory_per_process));
    if (settings.memory() == 0) {
        add(kResident, size_text(settings.resident_limit));
        if (settings.compressed_limit != 0) add(kCompressed, size_text(settings.compressed_limit));
    }
    if (settings.heap_reservation != defaults.heap_reservation) add(kHeap, size_text(settings.heap_reservation));
    if (settings.mappings) add(kMappings, *settings.mappings ? "on" : "off");
    if (!settings.swap_directory.empty()) add(kSwap, settings.swap_directory);
    if (settings.delivery != defaults.delivery) add(kDelivery, to_string(settings.delivery));
    if (!settings.status_file.empty()) add(kStatus, settings.status_file);
    if (settings.record_file.empty()) return variables;
    add(kRecord, settings.record_file);
    if (settings.record_rate != defaults.record_rate) add(kRecordRate, std::to_string(settings.record_rate));
    if (settings.record_stack != defaults.record_stack) add(kRecordStack, size_text(settings.record_stack));
    return variables;
}

bool is_setting(std::string_view variable) noexcept {
    return std::find(kAll.begin(), kAll.end(), name_of(variable)) != kAll.end();
}

}  // namespace faultline::run
