"""Tools of customer relationship management."""

from typing import Literal, get_args

from nemo_gym.environments import ToolError, tool
from nemo_gym.wire.json_object import JsonObject
from resources_servers.workplace_assistant.arguments import Needed, TextOrNumber, one_of
from resources_servers.workplace_assistant.tables import Row, Workplace, contains, page_of

Status = Literal["Qualified", "Won", "Lost", "Lead", "Proposal"]
Product = Literal["Software", "Hardware", "Services", "Consulting", "Training"]


class CustomerTools:
    @tool
    async def customer_relationship_manager_search_customers(
        self,
        state: Workplace,
        customer_name: str | None = None,
        customer_email: str | None = None,
        product_interest: str | None = None,
        status: str | None = None,
        assigned_to_email: str | None = None,
        last_contact_date_min: str | None = None,
        last_contact_date_max: str | None = None,
        follow_up_by_min: str | None = None,
        follow_up_by_max: str | None = None,
        page: int | None = 1,
        page_size: int | None = 5,
    ) -> JsonObject:
        """Search for customers; at least one argument besides the page is needed.

        Args:
            customer_name: Part of the customer's name.
            customer_email: Part of the customer's email address.
            product_interest: Part of the product that the customer is interested in.
            status: Part of the customer's status.
            assigned_to_email: Part of the email address of the person who looks after the customer.
            last_contact_date_min: First day of the last contact, YYYY-MM-DD.
            last_contact_date_max: Last day of the last contact, YYYY-MM-DD.
            follow_up_by_min: First day by which to follow up, YYYY-MM-DD.
            follow_up_by_max: Last day by which to follow up, YYYY-MM-DD.
            page: Which page of the customers found.
            page_size: Customers on a page.
        """
        parts = {
            "customer_name": customer_name,
            "customer_email": customer_email,
            "product_interest": product_interest,
            "status": status,
            "assigned_to_email": assigned_to_email,
        }
        days = {
            "last_contact_date": (last_contact_date_min, last_contact_date_max),
            "follow_up_by": (follow_up_by_min, follow_up_by_max),
        }
        if not any([*parts.values(), *days["last_contact_date"], *days["follow_up_by"]]):
            raise ToolError("Give at least one thing to search for.")

        def fits(row: Row) -> bool:
            in_time = all((first or "") <= row[name] <= (last or "9999") for name, (first, last) in days.items())
            return in_time and all(contains(row[name], part) for name, part in parts.items())

        return page_of(list(filter(fits, state.customers.rows)), "customers", page, page_size)

    @tool
    async def customer_relationship_manager_update_customer(
        self, state: Workplace, customer_id: Needed, field: Needed, new_value: TextOrNumber
    ) -> str:
        """Change one field of a customer.

        Args:
            customer_id: Id of the customer, 8 digits.
            field: customer_name, assigned_to_email, customer_email, customer_phone, last_contact_date,
                product_interest, status, notes or follow_up_by.
            new_value: Its new value.
        """
        value = str(new_value)
        match field:
            case "customer_email" | "assigned_to_email":
                value = value.lower()
            case "status":
                one_of(value, get_args(Status), field)
            case "product_interest":
                one_of(value, get_args(Product), field)
        state.customers.change(customer_id, field, value)
        return "Customer updated successfully."

    @tool
    async def customer_relationship_manager_add_customer(
        self,
        state: Workplace,
        customer_name: Needed,
        assigned_to_email: Needed,
        status: Needed,
        customer_email: str | None = None,
        customer_phone: str | None = None,
        last_contact_date: str | None = None,
        product_interest: str | None = None,
        notes: str | None = "",
        follow_up_by: str | None = None,
    ) -> str:
        """Add a customer; the answer is the customer's id.

        Args:
            customer_name: Name of the customer.
            assigned_to_email: Email address of the person who looks after the customer.
            status: Qualified, Won, Lost, Lead or Proposal.
            customer_email: The customer's email address.
            customer_phone: The customer's telephone number.
            last_contact_date: Day of the last contact, YYYY-MM-DD.
            product_interest: Software, Hardware, Services, Consulting or Training.
            notes: Anything else.
            follow_up_by: Day by which to follow up, YYYY-MM-DD.
        """
        return state.customers.add(
            assigned_to_email.lower(),
            customer_name,
            (customer_email or "").lower(),
            customer_phone or "",
            last_contact_date or "",
            product_interest or "",
            status,
            follow_up_by or "",
            notes or "",
        )

    @tool
    async def customer_relationship_manager_delete_customer(self, state: Workplace, customer_id: Needed) -> str:
        """Delete a customer.

        Args:
            customer_id: Id of the customer, 8 digits.
        """
        state.customers.delete(customer_id)
        return "Customer deleted successfully."
