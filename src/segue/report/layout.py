"""Where the images of the figure stand."""

from dataclasses import dataclass

FIGURE_WIDTH = 10.0  # inches; all lengths below are in inches too
LOWEST, HIGHEST = 0.8, 1.9  # height of an image; below the first, a row has two lines
NARROWEST, GAP, GROUP_GAP = 0.7, 0.05, 0.14
LEFT, RIGHT, TITLE, BELOW_ROW, BOTTOM = 0.12, 0.12, 0.27, 0.12, 0.75


@dataclass(frozen=True)
class Layout:
    """Positions of images, in inches from the top left corner.

    Attributes:
        methods: how many. two_lines: whether differences stand below counterfactuals. image: height and width.
        heads: height of the heads.
    """

    methods: int
    two_lines: bool
    image: tuple[float, float]
    heads: float

    @classmethod
    def fit(cls, methods: int, shape: tuple[int, ...]) -> "Layout":
        """One line for each row if images are tall enough then, else two."""
        aspect = shape[1] / shape[0]

        def image_width(two_lines: bool) -> float:
            images, gaps = (1 + methods, methods) if two_lines else (1 + 2 * methods, methods)
            inner = 0 if two_lines else methods * GAP
            return (FIGURE_WIDTH - LEFT - RIGHT - gaps * GROUP_GAP - inner) / images

        two_lines = image_width(False) / aspect < LOWEST
        width = max(NARROWEST, min(image_width(two_lines), HIGHEST * aspect))
        return cls(methods, two_lines, (width / aspect, width), 0.42 if two_lines else 0.6)

    def corner(self, row: int, method: int | None, difference: bool) -> tuple[float, float]:
        """(x, y) of an image's top left corner; `method` is None for the factual."""
        height, width = self.image
        y = self.heads + row * self.row_height + TITLE
        if method is None:
            return LEFT, y
        if self.two_lines:
            return LEFT + (1 + method) * (width + GROUP_GAP), y + difference * (height + GAP)
        return LEFT + width + GROUP_GAP + method * (2 * width + GAP + GROUP_GAP) + difference * (
            width + GAP
        ), y

    @property
    def row_height(self) -> float:
        """Title, images and the space below."""
        lines = 2 * self.image[0] + GAP if self.two_lines else self.image[0]
        return TITLE + lines + BELOW_ROW

    def figure_size(self, rows: int) -> tuple[float, float]:
        """Width and height of the figure."""
        right = self.corner(0, self.methods - 1, not self.two_lines)[0] + self.image[1] + RIGHT
        return max(right, 5.5), self.heads + rows * self.row_height + BOTTOM
