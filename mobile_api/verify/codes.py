"""Every reason this room can give, in one table. Codes are stable: pages and tests key on them."""

from enum import StrEnum
from types import MappingProxyType


class Step(StrEnum):
    """The one thing a person is asked to repeat."""

    FRONT = "front"
    BACK = "back"
    SELFIE = "selfie"
    FIELDS = "fields"


class Refusal(StrEnum):
    """Why a picture cannot be used. The step that failed is named beside it, not in it."""

    IMAGE_EMPTY = "image_empty"
    IMAGE_TOO_MANY_BYTES = "image_too_many_bytes"
    IMAGE_TOO_MANY_PIXELS = "image_too_many_pixels"
    IMAGE_TOO_SMALL = "image_too_small"
    IMAGE_FORMAT = "image_format"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_ANIMATED = "image_animated"
    PICTURE_BLURRED = "picture_blurred"
    PICTURE_DARK = "picture_dark"
    PICTURE_GLARE = "picture_glare"
    CARD_NOT_FOUND = "card_not_found"
    CARD_OTHER_SIDE = "card_other_side"
    CARD_FIELD_UNREAD = "card_field_unread"
    PORTRAIT_NOT_FOUND = "portrait_not_found"
    FACE_NONE = "face_none"
    FACE_SEVERAL = "face_several"
    FACE_TOO_SMALL = "face_too_small"


class Advice(StrEnum):
    """What to do about a refusal; the page has the sentence."""

    SEND_A_PHOTOGRAPH = "send_a_photograph"
    SEND_A_SMALLER_PICTURE = "send_a_smaller_picture"
    SEND_AGAIN = "send_again"
    HOLD_STILL = "hold_still"
    MORE_LIGHT = "more_light"
    TILT_AWAY_FROM_LIGHT = "tilt_away_from_light"
    MOVE_CLOSER = "move_closer"
    SHOW_THE_WHOLE_CARD = "show_the_whole_card"
    TURN_THE_CARD_OVER = "turn_the_card_over"
    BE_ALONE_IN_THE_PICTURE = "be_alone_in_the_picture"
    SHOW_YOUR_FACE = "show_your_face"


ADVICE: MappingProxyType[Refusal, Advice] = MappingProxyType(
    {
        Refusal.IMAGE_EMPTY: Advice.SEND_A_PHOTOGRAPH,
        Refusal.IMAGE_TOO_MANY_BYTES: Advice.SEND_A_SMALLER_PICTURE,
        Refusal.IMAGE_TOO_MANY_PIXELS: Advice.SEND_A_SMALLER_PICTURE,
        Refusal.IMAGE_TOO_SMALL: Advice.MOVE_CLOSER,
        Refusal.IMAGE_FORMAT: Advice.SEND_A_PHOTOGRAPH,
        Refusal.IMAGE_TRUNCATED: Advice.SEND_AGAIN,
        Refusal.IMAGE_ANIMATED: Advice.SEND_A_PHOTOGRAPH,
        Refusal.PICTURE_BLURRED: Advice.HOLD_STILL,
        Refusal.PICTURE_DARK: Advice.MORE_LIGHT,
        Refusal.PICTURE_GLARE: Advice.TILT_AWAY_FROM_LIGHT,
        Refusal.CARD_NOT_FOUND: Advice.SHOW_THE_WHOLE_CARD,
        Refusal.CARD_OTHER_SIDE: Advice.TURN_THE_CARD_OVER,
        Refusal.CARD_FIELD_UNREAD: Advice.MOVE_CLOSER,
        Refusal.PORTRAIT_NOT_FOUND: Advice.SHOW_THE_WHOLE_CARD,
        Refusal.FACE_NONE: Advice.SHOW_YOUR_FACE,
        Refusal.FACE_SEVERAL: Advice.BE_ALONE_IN_THE_PICTURE,
        Refusal.FACE_TOO_SMALL: Advice.MOVE_CLOSER,
    }
)


class PictureRefusedError(Exception):
    """A picture that cannot be used; `code` says why. Holds nothing of the picture."""

    def __init__(self, code: Refusal) -> None:
        super().__init__(code.value)
        self.code = code

    @property
    def advice(self) -> Advice:
        """What the person can do about it."""
        return ADVICE[self.code]
