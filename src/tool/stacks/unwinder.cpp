#include "tool/stacks/unwinder.hpp"

#include "tool/stacks/debug_library.hpp"
#include "trace/trace_checksum.hpp"

#include <cxxabi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <set>

namespace faultline::tool {
namespace {

constexpr std::size_t kMostFrames = 256;

struct FreeText {
    void operator()(void* text) const noexcept { std::free(text); }
};

[[maybe_unused]] std::string demangled(const char* name) {
    int status = 0;
    const std::unique_ptr<char, FreeText> text{abi::__cxa_demangle(name, nullptr, nullptr, &status)};
    if (status == 0 && text) return text.get();
    const std::string plain{name};
    return plain.substr(0, plain.find('@'));  // a symbol's version is no part of its name
}

}  // namespace

#if FAULTLINE_HAS_LIBDW

/// What libdw knows of the session's files.
class Unwinder::Frames {
public:
    Frames(const DebugLibrary& library, const RecordedSession& session, std::vector<std::string>& changed)
        : library_{library}, dwfl_{library.dwfl_begin(&kFindFiles)} {
        if (dwfl_ == nullptr) return;
        library_.dwfl_report_begin(dwfl_);
        report_files(session, changed);
        library_.dwfl_report_end(dwfl_, nullptr, nullptr);
        attached_ = library_.dwfl_attach_state(dwfl_, nullptr, kThread, &kThreads, this);
    }
    ~Frames() {
        if (dwfl_ != nullptr) library_.dwfl_end(dwfl_);
    }
    Frames(const Frames&) = delete;
    Frames& operator=(const Frames&) = delete;

    struct Frame {
        std::uint64_t address;
        bool called;  // the address is where a call returns to
    };

    /// Returns the frames, innermost first; none if even the first one is unknown.
    std::vector<Frame> unwind(const RecordedSample& sample) {
        found_.clear();
        sample_ = &sample;
        if (attached_) static_cast<void>(library_.dwfl_getthread_frames(dwfl_, kThread, &note_frame, this));
        return found_;
    }

    /// Returns the places of an address, innermost first: more than one where calls are inlined.
    std::vector<CodePlace> places_at(std::uint64_t address, const CodePlace& without_names) {
        std::vector<CodePlace> places;
        Dwfl_Module* const module = dwfl_ == nullptr ? nullptr : library_.dwfl_addrmodule(dwfl_, address);
        if (module == nullptr) return {without_names};
        CodePlace place = without_names;
        GElf_Off offset = 0;
        GElf_Sym symbol{};
        if (const char* const name =
                library_.dwfl_module_addrinfo(module, address, &offset, &symbol, nullptr, nullptr, nullptr)) {
            place.function = demangled(name);
            place.offset = offset;
        }
        if (Dwfl_Line* const line = library_.dwfl_module_getsrc(module, address)) {
            if (const char* const file =
                    library_.dwfl_lineinfo(line, nullptr, &place.line, nullptr, nullptr, nullptr)) {
                place.file = file;
                place.offset = 0;
            }
        }
        add_inlined(module, address, place, places);
        places.push_back(place);
        return places;
    }

private:
    static constexpr pid_t kThread = 1;  // any number: it names the thread of the sample at hand

    /// Adds the inlined functions at an address, and changes `place` to the line of the outermost call in it.
    void add_inlined(Dwfl_Module* module, std::uint64_t address, CodePlace& place, std::vector<CodePlace>& places) {
        Dwarf_Addr bias = 0;
        Dwarf_Die* const unit = library_.dwfl_module_addrdie(module, address, &bias);
        if (unit == nullptr) return;
        Dwarf_Die* found = nullptr;
        const int count = library_.dwarf_getscopes(unit, address - bias, &found);
        const std::unique_ptr<Dwarf_Die, FreeText> owner{found};
        if (count <= 0) return;
        // The scopes of the innermost one, by its entry: the others may be those of its declaration.
        Dwarf_Die* chain = nullptr;
        const int length = library_.dwarf_getscopes_die(&found[0], &chain);
        const std::unique_ptr<Dwarf_Die, FreeText> owner_of_chain{chain};
        for (int i = 0; i < length; ++i) {
            const int tag = library_.dwarf_tag(&chain[i]);
            if (tag == DW_TAG_subprogram) break;
            if (tag != DW_TAG_inlined_subroutine) continue;
            CodePlace inner = place;
            inner.offset = 0;
            inner.function = name_of(&chain[i]);
            if (inner.function.empty()) continue;
            places.push_back(inner);
            set_call_site(unit, &chain[i], place);
        }
    }

    std::string name_of(Dwarf_Die* die) {
        for (const unsigned attribute : {DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name}) {
            Dwarf_Attribute memory;
            Dwarf_Attribute* const found = library_.dwarf_attr_integrate(die, attribute, &memory);
            if (const char* const name = found == nullptr ? nullptr : library_.dwarf_formstring(found)) {
                return demangled(name);
            }
        }
        return {};
    }

    void set_call_site(Dwarf_Die* unit, Dwarf_Die* inlined, CodePlace& place) {
        Dwarf_Files* files = nullptr;
        std::size_t file_count = 0;
        if (library_.dwarf_getsrcfiles(unit, &files, &file_count) == 0) {
            const std::uint64_t file = number_of(inlined, DW_AT_call_file);
            const char* const name =
                file < file_count ? library_.dwarf_filesrc(files, file, nullptr, nullptr) : nullptr;
            if (name != nullptr) place.file = name;
        }
        place.line = static_cast<int>(number_of(inlined, DW_AT_call_line));
    }

    std::uint64_t number_of(Dwarf_Die* die, unsigned attribute) {
        Dwarf_Attribute memory;
        Dwarf_Word value = 0;
        Dwarf_Attribute* const found = library_.dwarf_attr_integrate(die, attribute, &memory);
        return found != nullptr && library_.dwarf_formudata(found, &value) == 0 ? value : 0;
    }

    /// Each file is reported once, at the address where its first byte is mapped.
    void report_files(const RecordedSession& session, std::vector<std::string>& changed) {
        std::set<std::string> reported;
        for (const trace::MappedPart& part : session.maps) {
            if (part.offset != 0 || !reported.insert(part.path).second) continue;
            if (::access(part.path.c_str(), R_OK) != 0) {
                changed.push_back(part.path);
                continue;
            }
            Dwfl_Module* const module =
                library_.dwfl_report_elf(dwfl_, part.path.c_str(), part.path.c_str(), -1, part.begin, false);
            if (module != nullptr && !is_same_file(module, part)) changed.push_back(part.path);
        }
    }

    bool is_same_file(Dwfl_Module* module, const trace::MappedPart& part) {
        GElf_Addr bias = 0;
        if (library_.dwfl_module_getelf(module, &bias) == nullptr) return false;
        const unsigned char* bits = nullptr;
        GElf_Addr where = 0;
        const int bytes = library_.dwfl_module_build_id(module, &bits, &where);
        if (bytes <= 0 || part.build_id.empty()) return bytes <= 0 && part.build_id.empty();
        return std::equal(part.build_id.begin(), part.build_id.end(), bits, bits + bytes);
    }

    static pid_t next_thread(Dwfl* /*dwfl*/, void* self, void** thread) {
        if (*thread != nullptr) return 0;
        *thread = self;
        return kThread;
    }
    static bool get_thread(Dwfl* /*dwfl*/, pid_t tid, void* self, void** thread) {
        *thread = self;
        return tid == kThread;
    }
    static bool set_registers(Dwfl_Thread* thread, void* argument) {
        const auto* const self = static_cast<const Frames*>(argument);
        static_assert(sizeof(Dwarf_Word) == sizeof(std::uint64_t));
        return self->library_.dwfl_thread_state_registers(
            thread, 0, trace::kSampledRegisters, reinterpret_cast<const Dwarf_Word*>(self->sample_->registers.data()));
    }
    static bool read_memory(Dwfl* /*dwfl*/, Dwarf_Addr address, Dwarf_Word* result, void* argument) {
        const RecordedSample& sample = *static_cast<const Frames*>(argument)->sample_;
        const std::uint64_t begin = sample.registers[trace::kRsp];
        if (address < begin || address - begin >= sample.stack.size()) return false;
        const std::size_t offset = address - begin;
        if (sample.stack.size() - offset < sizeof *result) return false;
        std::memcpy(result, sample.stack.data() + offset, sizeof *result);
        return true;
    }
    static int note_frame(Dwfl_Frame* frame, void* argument) {
        auto* const self = static_cast<Frames*>(argument);
        Dwarf_Addr address = 0;
        bool activation = false;
        if (!self->library_.dwfl_frame_pc(frame, &address, &activation)) return DWARF_CB_ABORT;
        self->found_.push_back({address, !activation});
        return self->found_.size() < kMostFrames ? DWARF_CB_OK : DWARF_CB_ABORT;
    }

    static inline const Dwfl_Thread_Callbacks kThreads{.next_thread = &next_thread,
                                                       .get_thread = &get_thread,
                                                       .memory_read = &read_memory,
                                                       .set_initial_registers = &set_registers,
                                                       .detach = nullptr,
                                                       .thread_detach = nullptr};
    static inline Dwfl_Callbacks kFindFiles{};

    static void set_callbacks(const DebugLibrary& library) {
        kFindFiles.find_elf = library.dwfl_linux_proc_find_elf;
        kFindFiles.find_debuginfo = library.dwfl_standard_find_debuginfo;
    }

    const DebugLibrary& library_;
    Dwfl* dwfl_ = nullptr;
    bool attached_ = false;
    const RecordedSample* sample_ = nullptr;
    std::vector<Frame> found_;

    friend class Unwinder;
};

Unwinder::Unwinder(const RecordedSession& session, CodePlaces& places) : session_{session}, places_{places} {
    const DebugLibrary* const library = DebugLibrary::get();
    if (library == nullptr) return;
    Frames::set_callbacks(*library);
    frames_ = std::make_unique<Frames>(*library, session, changed_);
}

CallStack Unwinder::places_at(std::uint64_t address) {
    CallStack stack;
    const CodePlace without_names = place_without_names(address);
    if (!frames_) return {places_.id_of(without_names)};
    for (const CodePlace& place : frames_->places_at(address, without_names)) stack.push_back(places_.id_of(place));
    return stack;
}

CallStack Unwinder::unwind(const RecordedSample& sample) {
    trace::TraceChecksum checksum;
    checksum.add({reinterpret_cast<const unsigned char*>(sample.registers.data()),
                  sample.registers.size() * sizeof sample.registers[0]});
    checksum.add(sample.stack);
    const auto [known, added] = known_stacks_.try_emplace(checksum.value());
    CallStack& stack = known->second;
    if (!added) return stack;
    if (frames_) {
        for (const Frames::Frame& frame : frames_->unwind(sample)) add_places(frame.address, frame.called, stack);
    }
    if (stack.empty()) add_places(sample.registers[trace::kRip], false, stack);
    return stack;
}

#else

class Unwinder::Frames {};

Unwinder::Unwinder(const RecordedSession& session, CodePlaces& places) : session_{session}, places_{places} {}

CallStack Unwinder::places_at(std::uint64_t address) { return {places_.id_of(place_without_names(address))}; }

CallStack Unwinder::unwind(const RecordedSample& sample) {
    CallStack stack;
    add_places(sample.registers[trace::kRip], false, stack);
    return stack;
}

#endif

Unwinder::~Unwinder() = default;

/// A call returns to the instruction after it, which may belong to another line.
void Unwinder::add_places(std::uint64_t address, bool called, CallStack& stack) {
    const std::uint64_t in_line = called && address > 0 ? address - 1 : address;
    const auto [known, added] = known_places_.try_emplace(in_line);
    if (added) known->second = places_at(in_line);
    stack.insert(stack.end(), known->second.begin(), known->second.end());
}

CodePlace Unwinder::place_without_names(std::uint64_t address) const {
    CodePlace place;
    for (const trace::MappedPart& part : session_.maps) {
        if (address < part.begin || address >= part.end) continue;
        place.object = part.path;
        place.offset = address - part.begin + part.offset;
        break;
    }
    return place;
}

}  // namespace faultline::tool
