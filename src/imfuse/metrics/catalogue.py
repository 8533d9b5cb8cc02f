"""Every metric there is, in the order of tables; ``conventions`` says how each is computed."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from math import inf
from threading import RLock

from imfuse.core import plugins
from imfuse.core.errors import ImfuseError, MetricError
from imfuse.metrics._open import OpenMapping
from imfuse.metrics.spec import Direction, MetricSpec

GROUP = "imfuse.metrics"
"""Group of the entry points by which packages bring metrics."""

_Row = tuple[str, str, str, tuple[float, float], Direction, str, int]
_ALONE: tuple[_Row, ...] = (
    # symbol, name, unit, range, better, paper, smallest size
    ("EN", "entropy", "bit", (0, 8), "higher", "Roberts et al., JARS 2008", 1),
    ("SD", "standard deviation", "gray levels", (0, 127.5), "higher", "common; often cited as Rao, MST 1997", 1),
    ("VAR", "variance", "gray levels^2", (0, 16256.25), "higher", "common; often cited as Rao, MST 1997", 1),
    ("SF", "spatial frequency", "gray levels", (0, 360.7), "higher", "Eskicioglu and Fisher, TCOM 1995", 2),
    ("AG", "average gradient", "gray levels", (0, 1020), "higher", "Cui et al., OC 2015", 2),
    ("EI", "edge intensity", "gray levels x 8", (0, 1442.5), "higher", "Rajalingam and Priya, IJESI 2018", 1),
)
_WITH_SOURCES: tuple[_Row, ...] = (
    ("MSE", "mean squared error", "gray levels^2", (0, 65025), "lower", "Jagalingam and Hegde, AP 2015", 1),
    ("RMSE", "root mean squared error", "gray levels", (0, 255), "lower", "Jagalingam and Hegde, AP 2015", 1),
    ("PSNR", "peak signal to noise ratio", "dB", (0, inf), "higher", "Jagalingam and Hegde, AP 2015", 1),
    ("CC", "correlation coefficient", "", (-1, 1), "higher", "Pearson, PRSL 1895", 1),
    ("SCD", "sum of correlations of differences", "", (-2, 2), "higher", "Aslantas and Bendes, AEU 2015", 1),
    ("MI", "mutual information", "bit", (0, 16), "higher", "Qu et al., EL 2002", 1),
    ("QMI", "normalised mutual information", "", (0, 2), "higher", "Hossny et al., EL 2008", 1),
    ("QTE", "Tsallis information, normalised", "", (0, 2), "higher", "Nava et al. 2007", 1),
    ("QTE_cvejic", "Tsallis information, order 1.85", "", (0, inf), "higher", "Cvejic et al., EL 2006", 1),
    ("QNCIE", "nonlinear correlation information entropy", "", (0.80188, 1), "higher", "Wang et al. 2008", 1),
    ("CE", "cross entropy", "bit", (-0.531, inf), "lower", "Bulanon et al., BE 2009", 1),
    ("FMI", "feature mutual information, of pixels", "", (0, 1), "higher", "Haghighat et al., CEE 2011", 3),
    ("FMI_gradient", "feature mutual information, of gradients", "", (0, 1), "higher", "Haghighat et al., CEE 2011", 3),
    ("FMI_edge", "feature mutual information, of edges", "", (0, 1), "higher", "Haghighat et al., CEE 2011", 3),
    ("FMI_dct", "feature mutual information, of cosines", "", (0, 1), "higher", "Haghighat et al., CEE 2011", 3),
    ("FMI_w", "feature mutual information, of wavelets", "", (0, 1), "higher", "Haghighat et al., CEE 2011", 3),
    ("VIF", "visual information fidelity", "", (0, inf), "higher", "Sheikh and Bovik, TIP 2006", 41),
    ("VIFF", "visual information fidelity for fusion", "", (0, inf), "higher", "Han et al., IF 2013", 41),
    ("Qabf", "gradient quality", "", (0, 0.9748), "higher", "Xydeas and Petrovic, EL 2000", 1),
    ("QG", "gradient quality, mean over pixels", "", (0, 0.9867), "higher", "Xydeas and Petrovic, EL 2000", 1),
    ("Qabf_p", "total performance", "", (0, 1), "higher", "Petrovic and Xydeas, ICCV 2005", 1),
    ("Labf", "fusion loss", "", (0, 1), "lower", "Petrovic and Xydeas, ICCV 2005", 1),
    ("Nabf", "fusion artefacts", "", (0, 1), "lower", "Shreyamsha Kumar, SIViP 2013", 1),
    ("Nabf_o", "fusion artefacts, original form", "", (0, 2), "lower", "Petrovic and Xydeas, ICCV 2005", 1),
    ("SSIM", "structural similarity", "", (-1, 1), "higher", "Wang et al., TIP 2004", 11),
    ("MS_SSIM", "multi-scale structural similarity", "", (0, 1), "higher", "Wang et al., Asilomar 2003", 161),
    ("MEF_SSIM", "structural similarity to the better patch", "", (-1, 1), "higher", "Ma et al., TIP 2015", 11),
    ("MS_MEF_SSIM", "the same on three scales", "", (0, 1), "higher", "Ma et al., TIP 2015", 44),
    ("QM", "wavelet edges kept", "", (0, 3), "higher", "Wang and Liu, ICSP 2008", 4),
    ("QSF", "spatial frequency ratio error", "", (-1, inf), "none", "Zheng et al., IF 2007", 2),
    ("QP", "phase congruency kept", "", (-1, 1), "higher", "Zhao et al., IJICIC 2007", 11),
    ("QS", "Piella's quality", "", (-1, 1), "higher", "Piella and Heijmans, ICIP 2003", 11),
    ("QW", "Piella's weighted quality", "", (-1, 1), "higher", "Piella and Heijmans, ICIP 2003", 11),
    ("QE", "Piella's quality of edges", "", (-1, 1), "higher", "Piella and Heijmans, ICIP 2003", 11),
    ("QC", "Cvejic's quality", "", (-1, 1), "higher", "Cvejic et al., IJSP 2005", 7),
    ("QY", "Yang's quality", "", (-1, 1), "higher", "Yang et al., IF 2008", 7),
    ("QCB", "Chen and Blum's contrast quality", "", (0, 1), "higher", "Chen and Blum, IVC 2009", 1),
    ("QCV", "Chen and Varshney's weighted error", "gray levels^2", (0, inf), "lower", "Chen and Varshney, IF 2007", 1),
)

_lock = RLock()
_loading = _loaded = False


def load_plugins() -> None:
    """Load the metrics of installed packages, once: an entry point's module registers the metric of its name.

    Raises:
        MetricError: an entry point cannot be loaded or registers no metric of its name.
    """
    global _loading, _loaded
    if _loaded:
        return
    with _lock:
        # Loading: this comes from a module that registers a metric. Other threads wait until all are there.
        if _loaded or _loading:
            return
        _loading = True
        try:
            for point in plugins.plugins(GROUP).values():
                _load(point)
            _loaded = True
        finally:
            _loading = False


def _load(point: EntryPoint) -> None:
    try:
        point.load()
    except ImfuseError:
        raise
    except Exception as error:
        raise MetricError(
            f"the metric {point.name!r} cannot be loaded from {point.value} ({type(error).__name__}: {error})",
            "repair or uninstall the package that brings it",
        ) from error
    if point.name not in METRICS:
        raise MetricError(f"{point.value} registers no metric {point.name!r}, which is the name of its entry point")


METRICS: OpenMapping[MetricSpec] = OpenMapping(
    {
        symbol: MetricSpec(symbol, name, unit, extent, better, sources, paper, size)
        for sources, rows in ((False, _ALONE), (True, _WITH_SOURCES))
        for symbol, name, unit, extent, better, paper, size in rows
    },
    load_plugins,
)
