"""The marketplace: listing, creating, renaming and deleting; and its simulator.

To add a marketplace, write a package beside ``prime`` whose client satisfies
`planner.marketplace.protocol.Marketplace` (`planner.marketplace.paging` reads listings of many
pages), let `planner.marketplace.fetch.connect` choose it, and add it to the marketplaces of
``tests/marketplace/test_contract.py``: the tests there say when it is done.
"""
