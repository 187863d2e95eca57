"""What does each judge think of each answer?"""

from holdfast.judge_prompt import judge_messages

__all__ = ["judge_messages"]
