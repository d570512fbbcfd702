"""The one stylesheet of the window, generated from the design tokens."""

from __future__ import annotations

from dataclasses import asdict
from string import Template
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from m1desk.ui.tokens import Metrics, Palette

_BASE: Final = """
QToolTip { background: $raised; color: $text; border: 1px solid $border_strong; padding: 4px 8px; }
QLabel { background: transparent; }
QLabel[tone="heading"] { font-size: ${font_heading}px; font-weight: 600; }
QLabel[tone="title"] { font-size: ${font_title}px; font-weight: 600; }
QLabel[tone="body"] { font-size: ${font_body}px; }
QLabel[tone="strong"] { font-weight: 600; }
QLabel[tone="muted"] { color: $text_muted; }
QLabel[tone="faint"] { color: $text_faint; }
QLabel[tone="caption"] { color: $text_faint; font-size: ${font_caption}px; }
QLabel[tag="true"] { color: $text_muted; background: $hover; font-size: ${font_caption}px;
  border-radius: 4px; padding: 1px 6px; }
QLabel[tone="accent"] { color: $accent; }
QLabel[tone="danger"] { color: $danger; }
QLabel[tone="warning"] { color: $warning; }
QLabel[tone="success"] { color: $success; }
QFrame[card="true"] { background: $surface; border: 1px solid $border;
  border-radius: ${radius_l}px; }
QFrame[panel="true"] { background: $sidebar; border: none; }
QFrame[bubble="true"] { background: $user_bubble; border: none; border-radius: ${radius_l}px; }
QFrame[thinking="true"] { border: none; border-left: 2px solid $border; }
QFrame[composer="true"] {
  background: $surface; border: 1px solid $border_strong; border-radius: 14px; }
QFrame[composer="true"][active="true"] { border: 1px solid $accent; }
QFrame[found="true"] { background: $accent_soft; border-radius: ${radius_m}px; }
QPushButton[example="true"] {
  background: $surface; border: 1px solid $border; border-radius: ${radius_l}px; }
QPushButton[example="true"]:hover { background: $hover; border-color: $border_strong; }
QPushButton[example="true"]:focus { border-color: $accent; }
QPushButton[floating="true"] { background: $raised; border: 1px solid $border_strong;
  border-radius: 14px; padding: 6px 14px; }
QFrame[line="true"] { background: $border; border: none; }
QFrame[banner="danger"] { background: $danger_soft; border: 1px solid $danger;
  border-radius: ${radius_m}px; }
QFrame[banner="warning"] { background: $warning_soft; border: 1px solid $warning;
  border-radius: ${radius_m}px; }
QSplitter::handle { background: $border; }
QScrollArea, QStackedWidget { background: transparent; border: none; }
"""

_BUTTONS: Final = """
QPushButton, QToolButton {
  background: $surface; color: $text; border: 1px solid $border_strong;
  border-radius: ${radius_s}px; padding: 6px 12px; font-weight: 500; }
QPushButton:hover, QToolButton:hover { background: $hover; }
QPushButton:pressed, QToolButton:pressed { background: $pressed; }
QPushButton:focus, QToolButton:focus { border: 1px solid $accent; }
QPushButton:disabled, QToolButton:disabled { color: $text_faint; border-color: $border;
  background: $surface; }
QPushButton[kind="primary"], QToolButton[kind="primary"] {
  background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600; }
QPushButton[kind="primary"]:hover, QToolButton[kind="primary"]:hover {
  background: $accent_hover; border-color: $accent_hover; }
QPushButton[kind="primary"]:focus, QToolButton[kind="primary"]:focus { border-color: $text; }
QPushButton[kind="primary"]:disabled, QToolButton[kind="primary"]:disabled {
  background: $pressed; color: $text_faint; border-color: $pressed; }
QPushButton[kind="danger"] { color: $danger; }
QPushButton[kind="danger"]:hover { background: $danger_soft; border-color: $danger; }
QPushButton[kind="ghost"], QToolButton[kind="ghost"] {
  background: transparent; border: 1px solid transparent; color: $text_muted; }
QPushButton[kind="ghost"]:hover, QToolButton[kind="ghost"]:hover { background: $hover;
  color: $text; }
QPushButton[kind="ghost"]:pressed, QToolButton[kind="ghost"]:pressed { background: $pressed; }
QPushButton[kind="ghost"]:focus, QToolButton[kind="ghost"]:focus { border: 1px solid $accent; }
QPushButton[kind="ghost"]:checked, QToolButton[kind="ghost"]:checked { background: $pressed;
  color: $text; }
QPushButton[kind="ghost"]:disabled, QToolButton[kind="ghost"]:disabled { background: transparent; }
QToolButton[square="true"] { padding: 5px; }
QToolButton[small="true"] { padding: 2px 8px; font-size: ${font_caption}px; }
QToolButton[flush="true"] { padding: 2px 6px 2px 0; }
QToolButton::menu-indicator, QPushButton::menu-indicator { image: none; width: 0; }
"""

_INPUTS: Final = """
QLineEdit, QTextEdit, QPlainTextEdit, QSpinBox, QDoubleSpinBox, QTimeEdit, QComboBox {
  background: $surface; color: $text; border: 1px solid $border_strong;
  border-radius: ${radius_s}px; padding: 5px 8px;
  selection-background-color: $selection; selection-color: $text; }
QLineEdit:focus, QTextEdit:focus, QPlainTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus,
QTimeEdit:focus, QComboBox:focus { border: 1px solid $accent; }
QLineEdit:disabled, QTextEdit:disabled, QPlainTextEdit:disabled, QSpinBox:disabled,
QDoubleSpinBox:disabled, QComboBox:disabled { color: $text_faint; background: $sidebar;
  border-color: $border; }
QLineEdit[bare="true"], QTextEdit[bare="true"], QPlainTextEdit[bare="true"],
  QTextBrowser[bare="true"] {
  background: transparent; border: none; padding: 0; }
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button,
QTimeEdit::up-button, QTimeEdit::down-button {
  width: 0; border: none; }
QComboBox::drop-down { border: none; width: 24px; }
QComboBox::down-arrow { width: 0; height: 0; border-left: 4px solid $surface;
  border-right: 4px solid $surface;
  border-top: 5px solid $text_muted; margin-right: 8px; }
QComboBox QAbstractItemView { background: $raised; border: 1px solid $border_strong;
  padding: 4px; outline: 0;
  selection-background-color: $accent_soft; selection-color: $text; }
QCheckBox, QRadioButton { spacing: 8px; }
QCheckBox::indicator, QRadioButton::indicator, QTableView::indicator {
  width: 16px; height: 16px; border: 1px solid $text_faint; background: $surface; }
QCheckBox::indicator, QTableView::indicator { border-radius: 4px; }
QRadioButton::indicator { border-radius: 9px; }
QCheckBox::indicator:checked, QRadioButton::indicator:checked, QTableView::indicator:checked {
  width: 8px; height: 8px; border: 5px solid $accent; background: $on_accent; }
QCheckBox::indicator:focus, QCheckBox::indicator:hover,
QRadioButton::indicator:focus, QRadioButton::indicator:hover { border-color: $accent; }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: $border_strong; }
QSlider::groove:horizontal { height: 4px; border-radius: 2px; background: $pressed; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal { width: 14px; height: 14px; margin: -5px 0; border-radius: 7px;
  background: $surface; border: 1px solid $border_strong; }
QSlider::handle:horizontal:focus, QSlider::handle:horizontal:hover { border-color: $accent; }
"""

_VIEWS: Final = """
QListView, QTreeView, QTableView { background: transparent; border: none; outline: 0;
  color: $text; }
QListView::item, QTreeView::item { padding: 6px 8px; border-radius: ${radius_s}px; }
QListView::item:hover, QTreeView::item:hover { background: $hover; }
QListView::item:selected, QTreeView::item:selected { background: $accent_soft; color: $text; }
QHeaderView::section { background: transparent; color: $text_faint; border: none;
  border-bottom: 1px solid $border; padding: 6px 8px; font-size: ${font_caption}px; }
QMenu { background: $raised; border: 1px solid $border_strong; padding: 4px; }
QMenu::item { padding: 6px 24px 6px 12px; border-radius: ${radius_s}px; }
QMenu::item:selected { background: $accent_soft; color: $text; }
QMenu::item:disabled { color: $text_faint; }
QMenu::separator { height: 1px; background: $border; margin: 4px 8px; }
QMenuBar { background: $sidebar; color: $text; border-bottom: 1px solid $border; }
QMenuBar::item { padding: 4px 10px; background: transparent; border-radius: ${radius_s}px; }
QMenuBar::item:selected { background: $hover; }
QTabBar::tab { background: transparent; color: $text_muted; padding: 6px 12px; border: none;
  border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabWidget::pane { border: none; border-top: 1px solid $border; }
QProgressBar { background: $pressed; border: none; border-radius: 3px; max-height: 6px;
  min-height: 6px;
  color: transparent; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }
QStatusBar { background: $sidebar; color: $text_muted; border-top: 1px solid $border; }
QStatusBar::item { border: none; }
QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: $border_strong; border-radius: 4px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: $text_faint; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QAbstractScrollArea::corner { background: transparent; border: none; }
QDialog, QMessageBox { background: $window; }
QFileDialog QToolButton { padding: 4px; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
"""


def stylesheet(palette: Palette, metrics: Metrics) -> str:
    """Generate the rules for the whole application in this palette and these sizes."""
    tokens = asdict(palette) | asdict(metrics)
    rules = _BASE + _BUTTONS + _INPUTS + _VIEWS
    return Template(rules).substitute(tokens)
