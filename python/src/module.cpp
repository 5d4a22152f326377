// The extension module faultline._native: what the Python part of the package needs of the library. Programs use the
// package, python/faultline/__init__.pyi.

#include "managed_pager.hpp"
#include "names.hpp"
#include "transfers.hpp"

#include "core/stats_figures.hpp"

#include <faultline/config.hpp>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

/// A Range is a tuple in Python: (address, bytes).
template <>
struct pybind11::detail::type_caster<faultline::python::Range> {
    PYBIND11_TYPE_CASTER(faultline::python::Range, const_name("tuple[int, int]"));

    bool load(handle source, bool convert) {
        make_caster<std::pair<std::uintptr_t, std::size_t>> pair;
        if (!pair.load(source, convert)) return false;
        const auto [address, bytes] = cast_op<std::pair<std::uintptr_t, std::size_t>>(pair);
        value = {address, bytes};
        return true;
    }
};

namespace faultline::python {
namespace {

namespace py = pybind11;

/// std::system_error becomes OSError with errno and the library's message; Python makes it PermissionError and so on.
void raise_os_error(std::exception_ptr thrown) {
    try {
        if (thrown) std::rethrow_exception(thrown);
    } catch (const std::system_error& error) {
        const py::tuple arguments = py::make_tuple(error.code().value(), error.what());
        PyErr_SetObject(PyExc_OSError, arguments.ptr());
    }
}

py::dict figures_of(const PagerStats& stats) {
    py::dict figures;
    for (const core::Figure<PagerStats>& figure : core::figures_of<PagerStats>()) {
        figures[py::str{figure.name.data(), figure.name.size()}] = stats.*figure.member;
    }
    return figures;
}

std::unique_ptr<ManagedPager> make_pager(std::size_t resident, std::size_t compressed, std::size_t memory,
                                         const std::string& swap_directory, const std::string& delivery,
                                         const std::string& replacement, const std::string& fork) {
    Config config;
    config.resident_limit = resident;
    config.compressed_limit = compressed;
    config.memory_limit = memory;
    config.swap_directory = swap_directory;
    config.delivery = named<Delivery>(delivery, "delivery");
    config.replacement = named<Replacement>(replacement, "replacement");
    config.fork = named<ForkPolicy>(fork, "fork");
    return std::make_unique<ManagedPager>(config);
}

/// Takes the pin over before another thread of the interpreter can run.
void release(Pin& pin) {
    Pin last = std::move(pin);
    const py::gil_scoped_release released;
    last.release();
}

py::buffer_info bytes_of(ManagedRegion& managed) {
    return {managed.region().data(), 1, py::format_descriptor<unsigned char>::format(),
            static_cast<py::ssize_t>(managed.bytes())};
}

}  // namespace

PYBIND11_MODULE(_native, module) {
    py::register_local_exception_translator(&raise_os_error);

    py::class_<ManagedRegion, std::shared_ptr<ManagedRegion>>(module, "Region", py::buffer_protocol())
        .def_buffer(&bytes_of);

    py::class_<Pin>(module, "Pin").def("release", &release);

    py::class_<ManagedPager>(module, "Pager")
        .def(py::init(&make_pager), py::arg("resident"), py::arg("compressed"), py::arg("memory"),
             py::arg("swap_directory"), py::arg("delivery"), py::arg("replacement"), py::arg("fork"))
        .def("close", &ManagedPager::close)
        .def("reserve", &ManagedPager::reserve)
        .def("advise", &ManagedPager::advise)
        .def("wait_for_advised", &ManagedPager::wait_for_advised)
        .def("discard", &ManagedPager::discard)
        .def("retry", &ManagedPager::retry)
        .def("pin", &ManagedPager::pin)
        .def("residency", &ManagedPager::residency)
        .def("page_size", &ManagedPager::page_size)
        .def_property("resident_limit", &ManagedPager::resident_limit, &ManagedPager::set_resident_limit)
        .def_property("memory_limit", &ManagedPager::memory_limit, &ManagedPager::set_memory_limit)
        .def_property_readonly("delivery", &ManagedPager::delivery)
        .def("stats", [](const ManagedPager& pager) { return figures_of(pager.stats()); });

    module.def("parse_size", &size_of);
    module.def("write_all", &write_all);
    module.def("read_all", &read_all);
}

}  // namespace faultline::python
