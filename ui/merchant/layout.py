"""How the counter's parts stand beside each other: narrow and high, wide (basket left, keys right), or low (24 rows)."""

from ui.merchant import palette

COMPACT_BELOW_ROWS = 30
WIDE_FROM_COLUMNS = 150
NARROW_BELOW_COLUMNS = 72
"""Below it six keys in a row would have no room for their words."""

COUNTER_CSS = f"""
    Counter {{
        layers: base above;
        layout: vertical;
        background: {palette.GROUND};
        color: {palette.TEXT};
        .main {{ height: 1fr; layout: vertical; }}
        .goods {{ height: 1fr; padding: 1 0; }}
        .side {{ height: auto; }}
        .spacer {{ display: none; height: 1fr; }}
        .touch {{ height: 7; margin: 1 1 0 1; layout: grid; grid-size: 6 2; grid-gutter: 1; }}
        Details {{ margin: 0 1; }}
        Pad, Confirm, Menu {{ display: none; margin: 1 1 0 1; }}
        Chooser, Counting {{ display: none; margin: 0 1; }}
        Idle {{ display: none; height: 100%; }}
        Lines {{ height: 100%; margin: 0 1; }}
        .foot {{ margin-top: 1; padding: 0 1; background: {palette.PANEL}; }}
        &.-idle Idle {{ display: block; }}
        &.-idle Lines, &.-idle Details, &.-idle Summary {{ display: none; }}
        &.-pad Pad, &.-confirm Confirm, &.-menu Menu, &.-list Chooser, &.-pieces Counting {{ display: block; }}
        &.-pad .touch, &.-confirm .touch, &.-menu .touch, &.-list .touch, &.-pieces .touch {{ display: none; }}
        &.-list Lines, &.-list Idle, &.-list Details, &.-pieces Idle {{ display: none; }}
        &.-wide .main {{ layout: horizontal; }}
        &.-wide .goods {{ width: 1fr; height: 100%; }}
        &.-wide .side {{ width: 80; height: 100%; padding-top: 1; }}
        &.-wide .spacer {{ display: block; }}
        &.-narrow .touch {{ height: 9; grid-size: 4 3; grid-gutter: 0 1; }}
        &.-narrow .touch TouchKey {{ border-top: tall {palette.GROUND}; border-bottom: tall {palette.GROUND}; }}
        &.-narrow.-menu Details, &.-narrow.-menu Summary {{ display: none; }}
        &.-narrow Menu .entries {{ grid-size: 3; }}
        &.-compact .goods {{ padding: 0; }}
        &.-compact .touch {{ height: 6; grid-gutter: 0 1; margin: 0; }}
        &.-compact .touch TouchKey {{ border-top: tall {palette.GROUND}; border-bottom: tall {palette.GROUND}; }}
        &.-compact Details {{ height: 2; border: none; margin: 0; background: {palette.PANEL}; }}
        &.-compact Lines {{ margin: 0; }}
        &.-compact Summary {{
            height: 3;
            padding: 0 1;
            Horizontal, .facts, .amount {{ height: 3; }}
            .caption {{ display: none; }}
        }}
        &.-compact NoticeBand {{ display: none; margin: 0; }}
        &.-compact.-told NoticeBand {{ display: block; }}
        &.-compact.-told Details, &.-compact.-pad Details, &.-compact.-pad Summary {{ display: none; }}
        &.-compact.-menu Details, &.-compact.-menu Summary {{ display: none; }}
        &.-compact Idle .prompt {{ margin-top: 1; }}
        &.-compact Confirm {{ height: 6; margin: 0; Horizontal {{ margin: 0; }} }}
        &.-compact Pad {{ margin: 0; .bottom {{ margin-top: 0; }} }}
        &.-compact Menu, &.-compact Chooser, &.-compact Counting {{ margin: 0; }}
        &.-compact Bar {{ padding: 0 1; margin: 0; }}
    }}
"""
