"""An agent as a real LangGraph graph of two nodes, of which one is a plain function that LangGraph runs in a thread."""

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from modelops.router import Router

router = Router("docs", watch=None)


def plan(state: MessagesState) -> dict[str, Any]:
    with router.request("session") as request:
        request.tokens, request.model = 20, request.route.served_model
        return {"messages": [AIMessage(f"plan by {request.route.version}")]}


async def answer(state: MessagesState) -> dict[str, Any]:
    with router.request("session") as request:
        request.tokens, request.model = 10, request.route.served_model
        asked = state["messages"][0].content
        return {"messages": [AIMessage(f"{asked} -> answer by {request.route.version}")]}


builder = StateGraph(MessagesState)
builder.add_node("plan", plan)
builder.add_node("answer", answer)
builder.add_edge(START, "plan")
builder.add_edge("plan", "answer")
graph = builder.compile()
