"""How the dashboard looks: Streamlit's theme options and the colours that charts and tables share.

The categorical colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart; their
blue is lightened to stand as clearly before the dark ground as before the white one (4.3 : 1). Fonts are the ones that
Streamlit ships, so that nothing is fetched from a network.
"""

BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#1B80C0", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
GREY = "#8A94A3"

# A figure with spread arms and the name in strokes: icons and fonts by name would be fetched from a network.
_FIGURE = '<circle cx="12" cy="4.4" r="2.1"/><path d="M3.5 8.2 12 10l8.5-1.8M12 10v5.2M12 15.2 8 22M12 15.2 16 22"/>'
_LETTERS = (
    '<path d="M31 14h7.4a3.8 3.9 0 1 0-1.2 2.9M43.6 5.6v12.2M43.6 13.6a3.3 3.3 0 0 1 6.6 0v4.2M55.6 10v12.4"/>'
    '<circle cx="59.4" cy="14" r="3.8"/>'
    '<path d="M73.4 11.3c-1.5-1.5-5.3-1.4-5.3.8 0 2.4 5.6 1.4 5.6 3.8 0 2.3-4.3 2.4-6 .7"/>'
)


def _svg(width: int, strokes: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 24" width="{width}" height="24" fill="none" '
        f'stroke="#2F7FC6" stroke-width="2.3" stroke-linecap="round" stroke-linejoin="round">{strokes}</svg>'
    )


ICON, LOGO = _svg(24, _FIGURE), _svg(76, _FIGURE + _LETTERS)

# Streamlit leaves five letters' width at both sides of a page from 848 px on, which a half-wide window cannot spare.
STYLE = '<style>[data-testid="stMainBlockContainer"] {padding-inline: clamp(1rem, 2.5vw, 5rem);}</style>'
SIDEBAR = 236  # px, the width that our facets need

OPTIONS: dict[str, str | int | bool] = {
    "theme.baseFontSize": 14,
    "theme.baseRadius": "6px",
    "theme.buttonRadius": "6px",
    "theme.metricValueFontSize": "1.55rem",
    "theme.metricValueFontWeight": 600,
    "theme.codeFontSize": "12.5px",
    "theme.paddingTop": "0.75rem",
    "theme.paddingBottom": "3rem",
    "theme.linkUnderline": False,
    "theme.showSidebarBorder": True,
    "theme.light.primaryColor": "#0B5FA5",
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F3F5F8",
    "theme.light.textColor": "#17212F",
    "theme.light.borderColor": "#D8DEE7",
    "theme.light.grayColor": "#64748B",
    "theme.light.grayBackgroundColor": "#EEF1F5",
    "theme.light.grayTextColor": "#56637A",
    "theme.light.dataframeHeaderBackgroundColor": "#F3F5F8",
    "theme.light.sidebar.backgroundColor": "#FAFBFC",
    "theme.light.sidebar.secondaryBackgroundColor": "#EEF1F5",
    "theme.dark.primaryColor": "#4C9FE0",
    "theme.dark.backgroundColor": "#10151D",
    "theme.dark.secondaryBackgroundColor": "#1A212C",
    "theme.dark.textColor": "#E4E9F0",
    "theme.dark.borderColor": "#2C3645",
    "theme.dark.grayColor": "#94A3B8",
    "theme.dark.grayBackgroundColor": "#232C3A",
    "theme.dark.grayTextColor": "#A9B5C6",
    "theme.dark.dataframeHeaderBackgroundColor": "#1A212C",
    "theme.dark.sidebar.backgroundColor": "#0C1017",
    "theme.dark.sidebar.secondaryBackgroundColor": "#1A212C",
}
